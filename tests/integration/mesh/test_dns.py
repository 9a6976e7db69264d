"""Endpoints by name, from a server of names of the test's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.rcode
import pytest

from mesh.client import ServiceClient
from mesh.endpoints import Dns
from mesh.endpoints import dns as source
from mesh.events import Events, RegistryChanged
from mesh.policy import Policy
from mesh.testing import TurnedClock
from mesh.wire.mesh.registry import v1 as pb
from tests.fakes.dns import Names
from tests.fakes.mesh import Recorded
from tests.fakes.waiting import until
from tests.integration.mesh.echo import METHODS, serving

Told = list[tuple[set[str], set[str]]]


@asynccontextmanager
async def followed(names: Names) -> AsyncIterator[tuple[Told, TurnedClock, Recorded]]:
    """All that the source says: who is named, and who is gone."""
    told: Told = []
    clock, events = TurnedClock(), Recorded()

    def tell(named: frozenset[str], gone: frozenset[str] = frozenset()) -> None:
        told.append((set(named), set(gone)))

    async with names:
        place = Dns("echo.test:50051", servers=[names.address])
        following = asyncio.create_task(place.follow("echo", tell, clock, events))
        try:
            await until(lambda: told)
            yield told, clock, events
        finally:
            following.cancel()
            await asyncio.wait({following})


async def next_after(told: Told, clock: TurnedClock, seconds: float) -> tuple[set[str], set[str]]:
    """What is said once so many seconds have passed."""
    before = len(told)
    await clock.turn(seconds)
    await until(lambda: len(told) > before)
    return told[-1]


async def test_every_address_of_the_name_is_an_endpoint() -> None:
    """Not only the first: that would be no balancing at all."""
    names = Names({"A": ["10.0.0.1", "10.0.0.2"], "AAAA": ["fd00::1"]})
    async with followed(names) as (told, _, _):
        assert told == [({"10.0.0.1:50051", "10.0.0.2:50051", "[fd00::1]:50051"}, set())]


@pytest.mark.parametrize(("ttl", "pause"), [(7, 7.0), (0, source.LEAST), (86_400, source.MOST)])
async def test_it_is_asked_again_when_its_time_to_live_is_over(ttl: int, pause: float) -> None:
    """Within bounds: nobody asks without a pause, and nobody believes for a day what may be wrong."""
    names = Names({"A": ["10.0.0.1"]}, ttl=ttl)
    async with followed(names) as (told, clock, _):
        assert names.asked == {"A": 1, "AAAA": 1}
        await clock.turn(pause - 0.01)
        assert (len(told), names.asked["A"]) == (1, 1)
        names.records = {"A": ["10.0.0.1", "10.0.0.3"]}
        assert await next_after(told, clock, 0.02) == ({"10.0.0.1:50051", "10.0.0.3:50051"}, set())


async def test_an_address_that_the_answer_does_not_hold_any_more_is_gone() -> None:
    """Whoever takes a record out wants no calls to go there."""
    names = Names({"A": ["10.0.0.1", "10.0.0.2"]}, ttl=5)
    async with followed(names) as (told, clock, _):
        names.records = {"A": ["10.0.0.2"]}
        assert await next_after(told, clock, 5) == ({"10.0.0.2:50051"}, {"10.0.0.1:50051"})


async def test_a_server_of_names_that_fails_takes_nobody_away_and_is_told_once() -> None:
    """It is no part of a call's way."""
    names = Names({"A": ["10.0.0.1"]}, ttl=5)
    async with followed(names) as (told, clock, events):
        names.rcode = dns.rcode.SERVFAIL
        for _ in range(3):
            assert await next_after(told, clock, 5) == ({"10.0.0.1:50051"}, set())
        names.rcode = dns.rcode.NOERROR
        await next_after(told, clock, 5)
        reasons = [(event.registry, event.reachable, event.reason) for event in events.of(RegistryChanged)]
    assert reasons == [
        ("dns:echo.test", True, "answers"),
        ("dns:echo.test", False, "nonameservers"),
        ("dns:echo.test", True, "answers"),
    ]


async def test_one_that_says_nothing_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall drops instead of refusing."""
    monkeypatch.setattr(source, "PATIENCE", 0.2)
    names = Names({"A": ["10.0.0.1"]}, ttl=5)
    async with followed(names) as (told, clock, events):
        names.silent = True
        assert await next_after(told, clock, 5) == ({"10.0.0.1:50051"}, set())
        assert [event.reason for event in events.of(RegistryChanged)] == ["answers", "lifetimetimeout"]


async def test_a_name_that_is_not_there_any_more_names_nobody_and_takes_nobody_away_at_work() -> None:
    """It may be a slip of the pen; the probes decide who of them stays."""
    names = Names({"A": ["10.0.0.1"]}, ttl=5)
    async with followed(names) as (told, clock, events):
        names.rcode = dns.rcode.NXDOMAIN
        assert await next_after(told, clock, 5) == (set(), set())
        assert events.of(RegistryChanged)[-1].reason == "no_such_name"


async def test_calls_go_to_who_is_named() -> None:
    """The whole way, from a name to an answer."""
    async with serving() as (server, _, _), Names({"A": ["127.0.0.1"]}) as names:
        port = server.address.rpartition(":")[2]
        place = Dns(f"echo.test:{port}", servers=[names.address])
        policy = Policy(probe_interval=0.1)
        async with ServiceClient("echo", methods=METHODS, source=place, events=Events(), policy=policy) as client:
            await until(lambda: [state.probe for state in client.endpoints()] == ["serving"])
            reply = await client.call("Say", pb.Lease(lease_id="hello"), timeout=2.0)
    assert reply.endpoint == server.address


@pytest.mark.parametrize("place", ["10.0.0.1:50051", "[fd00::1]:50051", "echo.test", "echo.test:"])
def test_what_is_no_name_with_a_port_is_refused_at_once(place: str) -> None:
    """An address would be asked for as a name, and never be found."""
    with pytest.raises(ValueError, match=place.replace("[", r"\[").replace("]", r"\]")):
        Dns(place)
