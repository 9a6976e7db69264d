"""A service that says when it wants a call again, from its StatusError to the client's next attempt."""

import pytest

from mesh.client import ServiceClient
from mesh.endpoints import Static
from mesh.errors import RemoteError
from mesh.events import NotRetried, Retried
from mesh.wire.mesh.registry import v1 as pb
from tests.fakes.mesh import Recorded
from tests.integration.mesh.echo import METHODS, serving


async def refused(word: str) -> tuple[int, Recorded]:
    """How often a service that only says so is asked, and what was told of it."""
    events = Recorded()
    async with serving() as (server, echo, _):
        client = ServiceClient("echo", methods=METHODS, source=Static([server.address]), events=events)
        async with client:
            await client.ready()
            with pytest.raises(RemoteError, match="full"):
                await client.call("Say", pb.Lease(lease_id=word), timeout=5)
        return echo.handled.count(word), events


async def test_a_service_is_asked_again_when_it_wants_to_be() -> None:
    """Not before, as the pause between attempts alone would have it."""
    asked, events = await refused("later")
    assert asked == 3
    assert [event.delay for event in events.of(Retried)] == [0.25, 0.25]
    assert [event.reason for event in events.of(NotRetried)] == ["attempts_spent"]


async def test_a_service_that_does_not_want_a_call_again_is_asked_once() -> None:
    """Its word goes before any number of attempts."""
    asked, events = await refused("never")
    assert asked == 1
    assert [event.reason for event in events.of(NotRetried)] == ["pushback"]
