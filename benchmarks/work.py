"""The service under load, a process of its own: `python -m benchmarks.work OPTIONS`, where OPTIONS is JSON.

It prints its address, answers with what it was asked, and behaves as a line of JSON on its input tells it to.
It ends on SIGTERM in order, and at once when its input ends.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import uvloop
from grpclib.const import Cardinality, Handler
from grpclib.encoding.proto import ProtoCodec
from grpclib.server import Stream

from benchmarks.state import state
from mesh.call import Level, Method
from mesh.events import Events
from mesh.faults import Proxy, Trouble
from mesh.policy import AdmissionPolicy
from mesh.registry import Registration, RegistryService
from mesh.server import Health, Server, StatusError
from mesh.status import Status

SERVICE = "benchmarks.Work"
READ = Method(f"/{SERVICE}/Read", bytes, bytes, Level.NO_SIDE_EFFECTS)
WRITE = Method(f"/{SERVICE}/Write", bytes, bytes, Level.UNKNOWN)
METHODS = {method.name: method for method in (READ, WRITE)}
TO_REFUSE = 0.001  # seconds
SLOWER = 0.5  # seconds
NOTICE, GRACE = 0.5, 2.0  # seconds, when it is told to stop


class Raw(ProtoCodec):
    """Bytes as they are, and the messages of health and registry as ever."""

    def encode(self, message: Any, message_type: Any) -> bytes:
        return message if message_type is bytes else bytes(message)

    def decode(self, data: bytes, message_type: Any) -> Any:
        return bytes(data) if message_type is bytes else super().decode(data, message_type)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a replica answers.

    Attributes:
        work: seconds that an answer takes.
        slow: the share of calls that take half a second.
        failing: the share of calls that it refuses with UNAVAILABLE after a millisecond.
        silent: it never answers.
        black_hole: nothing passes the proxy before it, if there is one.
        blocked: seconds of each second in which its event loop stands still.
    """

    work: float = 0.002
    slow: float = 0.0
    failing: float = 0.0
    silent: bool = False
    black_hole: bool = False
    blocked: float = 0.0


class Work:
    """Answers with what it was asked, by its behaviour at that moment; so many at one time."""

    def __init__(self, behaviour: Behaviour, rng: Random, workers: int = 100_000) -> None:
        self.behaviour, self._rng = behaviour, rng
        self._free = asyncio.Semaphore(workers)

    async def answer(self, stream: Stream[bytes, bytes]) -> None:
        request, now = await stream.recv_message() or b"", self.behaviour
        if now.silent:
            await asyncio.Event().wait()
        if self._rng.random() < now.failing:
            await asyncio.sleep(TO_REFUSE)
            raise StatusError(Status.UNAVAILABLE, "it was told to refuse")
        if work := SLOWER if self._rng.random() < now.slow else now.work:
            async with self._free:
                await asyncio.sleep(work)
        await stream.send_message(request)

    def __mapping__(self) -> Mapping[str, Handler]:
        return {method.path: Handler(self.answer, Cardinality.UNARY_UNARY, bytes, bytes) for method in METHODS.values()}


@dataclass(frozen=True, slots=True)
class Options:
    """What a replica is started with.

    Attributes:
        port: 0 takes a free one.
        seed: of what it draws.
        max_age: seconds that a connection may last.
        registries: where it registers.
        registry: it is a registry itself, and does nothing else.
        proxied: a proxy lies before it, whose address is the one that it prints.
        workers: calls that it works on at one time; the others wait, and may be late.
        admission: it takes on no more than it can do, as the mesh's server does; else all that comes.
    """

    port: int = 0
    seed: int = 1
    work: float = 0.002
    max_age: float = float("inf")
    registries: tuple[str, ...] = ()
    registry: bool = False
    proxied: bool = False
    workers: int = 100_000
    admission: bool = False


async def serve(options: Options) -> None:
    """Serves until SIGTERM."""
    stop, health, events = asyncio.Event(), Health(), Events()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    work = Work(Behaviour(work=options.work), Random(options.seed), options.workers)
    service, codec = (RegistryService(), None) if options.registry else (work, Raw())
    settings: dict[str, Any] = {"codec": codec, "max_age": options.max_age, "notice": NOTICE, "grace": GRACE}
    settings["admission"] = AdmissionPolicy() if options.admission else None
    port = 0 if options.proxied else options.port
    async with AsyncExitStack() as running:
        server = await running.enter_async_context(
            Server([service], port=port, health=health, events=events, **settings)
        )
        address, proxy = server.address, None
        if options.proxied:
            proxy = await running.enter_async_context(Proxy(address, port=options.port))
            address = proxy.address
        named: dict[str, Any] = {"service": SERVICE, "address": address}
        await running.enter_async_context(Registration(options.registries, health=health, events=events, **named))
        print(address, flush=True)
        tasks = [asyncio.create_task(_listen(work, proxy, server)), asyncio.create_task(_blocking(work))]
        await stop.wait()
        for task in tasks:
            task.cancel()


async def _blocking(work: Work) -> None:
    while True:
        time.sleep(work.behaviour.blocked)  # noqa: ASYNC251  # which is the point
        await asyncio.sleep(1.0 - work.behaviour.blocked)


async def _listen(work: Work, proxy: Proxy | None, server: Server) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        work.behaviour = replace(work.behaviour, **json.loads(line))
        if proxy is not None:
            proxy.set(Trouble(black_hole=work.behaviour.black_hole))
        limit = {"limit": server.admission.limit} if server.admission else {}
        print(json.dumps(state(server._callers) | limit), flush=True)
    os._exit(0)  # whoever started it is gone


if __name__ == "__main__":
    uvloop.run(serve(Options(**json.loads(sys.argv[1]))))
