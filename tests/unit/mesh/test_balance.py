"""Who gets a call, and what is remembered of how it went."""

import asyncio
from random import Random

import pytest

from mesh.call import Call, Handler, Level, Reply
from mesh.decide.load import Load
from mesh.errors import CircuitOpen, DeadlineExceeded, Lost, MeshError, NoEndpoint, Refused, RemoteError, Unreachable
from mesh.events import Chosen, NobodyToAsk, WouldHave
from mesh.layers.balance import balance
from mesh.layers.measure import measure
from mesh.policy import BalancePolicy, Mode
from mesh.status import Status
from mesh.testing import TurnedClock, settle
from tests.fakes.mesh import FakeEndpoint, FakePool, Recorded, Scripted, a_call, never

FAILURE = 5.0


def balanced(pool: FakePool, events: Recorded, mode: Mode = "enforce") -> Handler:
    return balance("echo", pool, BalancePolicy(mode=mode), TurnedClock(), Random(1), events)


async def test_only_available_endpoints_are_asked_and_others_than_before_if_possible() -> None:
    """An endpoint with an open breaker is skipped, not waited for."""
    ill, one, two = FakeEndpoint("a:1", available=False), FakeEndpoint("b:2"), FakeEndpoint("c:3")
    events = Recorded()
    handler = balanced(FakePool(ill, one, two), events)
    for _ in range(50):
        await handler(a_call(avoid=frozenset({"b:2"})))
    assert (len(ill.calls), len(one.calls), len(two.calls)) == (0, 0, 50)
    assert {(event.endpoint, event.available, event.known) for event in events.of(Chosen)} == {("c:3", 2, 3)}


async def test_both_of_two_endpoints_are_used() -> None:
    """A second replica that gets nothing is no replica."""
    one, two = FakeEndpoint("b:2"), FakeEndpoint("c:3")
    handler = balanced(FakePool(one, two), Recorded())
    for _ in range(100):
        await handler(a_call())
    assert min(len(one.calls), len(two.calls)) > 25


@pytest.mark.parametrize(
    ("endpoints", "reason"), [((), "none_known"), ((FakeEndpoint("a:1", available=False),), "none_available")]
)
async def test_with_nobody_to_ask_it_says_why_and_when_to_come_again(
    endpoints: tuple[FakeEndpoint, ...], reason: str
) -> None:
    """`Retry-After` comes from here."""
    events = Recorded()
    handler = balanced(FakePool(*endpoints, retry_after=3.0), events)
    with pytest.raises(NoEndpoint) as caught:
        await handler(a_call())
    assert caught.value.retry_after == 3.0
    assert [event.reason for event in events.of(NobodyToAsk)] == [reason]


async def test_an_error_says_which_endpoint_it_came_from() -> None:
    """The retry layer avoids it by that."""
    handler = balanced(FakePool(FakeEndpoint("a:1", Lost("broke"))), Recorded())
    with pytest.raises(Lost) as caught:
        await handler(a_call())
    assert caught.value.endpoint == "a:1"


def dear(address: str, now: float = 1000.0) -> FakeEndpoint:
    endpoint = FakeEndpoint(address)
    endpoint.load.failed(FAILURE, now)
    endpoint.load.asked = now
    return endpoint


async def test_the_event_says_who_was_weighed_with_what_scores_and_why_it_was_this_one() -> None:
    """`caremesh explain` answers "why there?" out of it."""
    events, well = Recorded(), FakeEndpoint("b:2")
    well.load.answered(0.01, 1000.0)
    await balanced(FakePool(dear("a:1"), well), events)(a_call(request_id="r-1"))
    (chosen,) = events.of(Chosen)
    assert (chosen.endpoint, chosen.reason, chosen.request_id) == ("b:2", "cheaper", "r-1")
    assert sorted(chosen.weighed) == [("a:1", 5.0), ("b:2", 0.01)]


async def test_an_ejected_endpoint_is_asked_only_where_there_is_nobody_else() -> None:
    """A poor answer is better than none, and another endpoint better than the one that just failed."""
    ejected, well = FakeEndpoint("a:1"), FakeEndpoint("b:2")
    ejected.load.ejected = True
    handler = balanced(FakePool(ejected, well), Recorded())
    for _ in range(30):
        await handler(a_call())
    assert (len(ejected.calls), len(well.calls)) == (0, 30)
    await handler(a_call(attempt=2, avoid=frozenset({"b:2"})))
    well.available = False
    await handler(a_call())
    assert (len(ejected.calls), len(well.calls)) == (2, 30)


@pytest.mark.parametrize(
    ("call", "asked"),
    [(a_call(), 1), (a_call(attempt=2), 0), (a_call(Level.UNKNOWN), 0)],
    ids=["a read", "a retry", "a write that may not be repeated"],
)
async def test_a_long_silent_endpoint_is_tried_with_a_call_that_may_fail_there(call: Call, asked: int) -> None:
    """It may be as ill as before: whoever is tried on it must be able to go elsewhere."""
    ill, well = dear("a:1"), FakeEndpoint("b:2")
    well.load.answered(0.01, 1000.0)
    ill.load.asked, well.load.asked = 990.0, 1000.0
    await balanced(FakePool(ill, well), Recorded())(call)
    assert len(ill.calls) == asked


async def test_in_shadow_chance_decides_and_what_would_have_been_is_told() -> None:
    """Half the calls go to the dear one, and each of those is told with the one that it would have gone to."""
    events, ill, well = Recorded(), dear("a:1"), FakeEndpoint("b:2")
    well.load.answered(0.01, 1000.0)
    handler = balanced(FakePool(ill, well), events, "shadow")
    for _ in range(100):
        await handler(a_call(request_id="r-1"))
    assert 25 < len(ill.calls) < 75
    told = {(event.what, event.reason, event.endpoint, event.request_id) for event in events.of(WouldHave)}
    assert told == {("asked b:2", "cheaper", "a:1", "r-1")}
    assert len(events.of(WouldHave)) == len(ill.calls)


async def test_switched_off_chance_decides_and_nothing_is_told() -> None:
    """The plain way to compare with."""
    events, ill, well = Recorded(), dear("a:1"), FakeEndpoint("b:2")
    well.load.answered(0.01, 1000.0)
    handler = balanced(FakePool(ill, well), events, "off")
    for _ in range(100):
        await handler(a_call())
    assert 25 < len(ill.calls) < 75
    assert events.of(WouldHave) == []


def measured(*script: MeshError | None, clock: TurnedClock) -> tuple[Handler, Load]:
    load = Load(BalancePolicy(), 1.5, clock.now())

    async def inner(call: Call) -> Reply:
        await clock.sleep(0.25)
        return await answers(call)

    answers = Scripted(*script)
    return measure(load, FAILURE, clock)(inner), load


@pytest.mark.parametrize(
    ("error", "cost", "counted"),
    [
        (Lost("broke"), 5.0, (1, 1)),
        (Unreachable("closed port"), 5.0, (1, 1)),
        (RemoteError(Status.UNAVAILABLE, "away"), 5.0, (1, 1)),
        (RemoteError(Status.UNAVAILABLE, "too much to do", pushback=0.7), 0.7, (1, 1)),
        (RemoteError(Status.UNAVAILABLE, "never again", pushback=-1.0), 5.0, (1, 1)),
        (RemoteError(Status.INTERNAL, "a bug"), 0.25, (1, 1)),
        (RemoteError(Status.NOT_FOUND, "not here"), 0.25, (1, 0)),
        (RemoteError(Status.DEADLINE_EXCEEDED, "late"), 0.25, (0, 0)),
        (DeadlineExceeded("late", maybe_done=True), 0.25, (0, 0)),
        (Refused("it goes away"), 0.0, (0, 0)),
        (CircuitOpen("open"), 0.0, (0, 0)),
    ],
)
async def test_what_an_attempt_says_of_its_endpoint_follows_from_how_it_ended(
    error: MeshError, cost: float, counted: tuple[int, int]
) -> None:
    """A failure is a slow answer; what was never begun with says nothing; a bug is no reason to shun a replica."""
    clock = TurnedClock()
    handler, load = measured(error, clock=clock)
    task = asyncio.ensure_future(handler(a_call()))
    await clock.turn(0.25)
    with pytest.raises(type(error)):
        await task
    assert (load.cost(clock.now()), (load.recent.calls, load.recent.failures)) == (cost, counted)
    assert load.in_flight == 0


async def test_a_call_under_way_counts_and_one_that_is_given_up_took_at_least_so_long() -> None:
    """A black hole is avoided before the first of its calls has ended."""
    clock = TurnedClock()
    load = Load(BalancePolicy(), 1.5, clock.now())
    task = asyncio.ensure_future(measure(load, FAILURE, clock)(never)(a_call()))
    await clock.turn(0.5)
    assert load.in_flight == 1
    task.cancel()
    await settle()
    assert (load.in_flight, load.cost(clock.now()), load.recent.calls) == (0, 0.5, 0)
