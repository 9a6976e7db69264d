"""Servers that call servers: what one hop hands on to the next, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from mesh.call import Level, Method
from mesh.client import ServiceClient
from mesh.endpoints import Static
from mesh.errors import MeshError, RemoteError
from mesh.events import CallStarted, NotRetried
from mesh.policy import BudgetPolicy, CircuitPolicy, Policy
from mesh.server import Health, Server, StatusError, current, detached
from mesh.status import Status
from mesh.wire.google.protobuf import Empty
from mesh.wire.mesh.registry import v1 as pb
from tests.fakes.mesh import Recorded
from tests.fakes.waiting import until

PATH = "/mesh.registry.v1.ServiceRegistry/"
METHODS = {
    "Pass": Method(PATH + "Renew", pb.Lease, pb.Lease, Level.NO_SIDE_EFFECTS),
    "Later": Method(PATH + "Deregister", pb.Lease, Empty, Level.NO_SIDE_EFFECTS),
}
PLENTY = Policy(budget=BudgetPolicy("off"), circuit=CircuitPolicy("off"))


@dataclass
class Hop(pb.ServiceRegistryBase):
    """Passes each call on to the next hop; the last one is away."""

    following: ServiceClient | None
    left: list[float | None] = field(default_factory=list)
    background: list[asyncio.Task[object]] = field(default_factory=list)

    async def renew(self, message: pb.Lease) -> pb.Lease:
        self.left.append(current().remaining())
        if self.following is None:
            raise StatusError(Status.UNAVAILABLE, "away")
        try:
            await self.following.call("Pass", message)
        except MeshError:
            raise StatusError(Status.UNAVAILABLE, "what it needs is away") from None
        return message

    async def deregister(self, message: pb.Lease) -> Empty:
        assert self.following
        with detached():
            self.background.append(asyncio.create_task(self.following.call("Pass", message, timeout=60)))
        return Empty()


@asynccontextmanager
async def calling(hop: Hop, events: Recorded) -> AsyncIterator[ServiceClient]:
    server = Server([hop], health=Health(), events=Recorded(), grace=0)
    async with (
        server,
        ServiceClient("hop", methods=METHODS, source=Static([server.address]), events=events, policy=PLENTY) as client,
    ):
        await until(lambda: [state.probe for state in client.endpoints()] == ["serving"])
        yield client


@asynccontextmanager
async def three_hops() -> AsyncIterator[tuple[ServiceClient, list[Hop], list[Recorded]]]:
    """A client, and three servers behind one another; the events are those of whoever calls each."""
    events = [Recorded() for _ in range(3)]
    async with (
        calling(last := Hop(None), events[2]) as to_last,
        calling(middle := Hop(to_last), events[1]) as to_middle,
        calling(first := Hop(to_middle), events[0]) as to_first,
    ):
        yield to_first, [first, middle, last], events


async def test_attempts_of_hops_add_up_and_do_not_multiply() -> None:
    """Three hops of three attempts each would be twenty-seven calls of the last, in an outage of it."""
    async with three_hops() as (client, hops, events):
        with pytest.raises(RemoteError, match="what it needs is away"):
            await client.call("Pass", pb.Lease(), timeout=5)
    assert [len(hop.left) for hop in hops] == [3, 5, 7]
    assert [event.reason for event in events[1].of(NotRetried)] == [
        "left_to_caller",
        "left_to_caller",
        "attempts_spent",
    ]


async def test_each_hop_hands_on_what_is_left_of_its_callers_time() -> None:
    """Nobody works for a caller that has stopped waiting; each hop keeps what it needs to answer."""
    async with three_hops() as (client, hops, events):
        with pytest.raises(RemoteError):
            await client.call("Pass", pb.Lease(), timeout=1)
    left = [hop.left[0] for hop in hops]
    assert all(each is not None for each in left)
    first, middle, last = (each or 0.0 for each in left)
    assert 0.95 >= first >= middle + 0.04 >= last + 0.08
    assert {event.reason for event in events[1].of(CallStarted)} == {"handled"}


async def test_work_that_is_detached_has_its_own_time_and_its_own_attempts() -> None:
    """What goes on after the answer must not end with the request that began it."""
    async with three_hops() as (client, hops, events):
        await client.call("Later", pb.Lease(), timeout=1)
        with pytest.raises(RemoteError):
            await hops[0].background[0]
    started = events[1].of(CallStarted)[0]
    assert (round(started.granted, 2), started.reason) == (59.95, "caller")
    assert len(hops[1].left) == 3
