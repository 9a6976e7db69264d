"""Thousands of calls that are given up at any moment: nothing stays behind, and nobody gets another's answer."""

import asyncio
import gc
from random import Random
from typing import Any

from mesh.transport import Transport
from mesh.transport.connection import Stream
from mesh.transport.protocol import WINDOW
from tests.fakes import http2
from tests.fakes.waiting import until
from tests.integration.mesh.conftest import To
from tests.integration.mesh.echo import call, serving

CALLS, CALLERS = 5_000, 20


async def test_cancelled_calls_leave_nothing_behind_and_nobody_gets_anothers_answer(to: To) -> None:
    """Drivers of other protocols have handed one caller's answer to the next after a cancellation."""
    rng, answered, cancelled = Random(7), 0, 0

    async def caller(transport: Transport, name: int) -> None:
        nonlocal answered, cancelled
        for number in range(CALLS // CALLERS):
            word = f"{name}/{number}/" + "x" * rng.randrange(4_000)
            try:
                async with asyncio.timeout(rng.choice([0, 0.001, 0.003, 0.01, None])):
                    reply = await transport(call(word))
            except TimeoutError:
                cancelled += 1
            else:
                answered += 1
                assert reply.message.lease_id == word

    async with serving(max_noise=1e9) as (server, _, _):  # so many resets at once would be a flood
        transport = to(server.address)
        await asyncio.gather(*(caller(transport, name) for name in range(CALLERS)))
        assert cancelled > CALLS / 4
        assert answered > CALLS / 10
        (theirs,), (ours,) = server._callers, transport._channel._links
        await until(lambda: not theirs.processor.streams)
        assert (theirs._tasks, ours.processor.streams) == ({}, {})
        await transport(call("the last"))
        assert [http2.books(end.connection.h2) for end in (theirs, ours)] == [WINDOW, WINDOW]
        # h2 would remember 65,536 streams that are over, some 8 MB a connection.
        remembered: list[Any] = [end.connection.h2._closed_streams for end in (theirs, ours)]
        assert [each._size_limit for each in remembered] == [4_096, 4_096]
        assert not transport._channel._waiting
        gc.collect()
        assert [each for each in gc.get_objects() if isinstance(each, Stream)] == []
