"""Keeps calls away from an endpoint that fails: the breaker's layer."""

import asyncio
from random import Random

import pytest

from mesh.call import Call, Handler, Reply
from mesh.decide.circuit import Circuit
from mesh.errors import CircuitOpen, DeadlineExceeded, Lost, MeshError, Refused, RemoteError, Unreachable
from mesh.events import BreakerChanged, WouldHave
from mesh.layers.breaker import Breaker, guard
from mesh.policy import CircuitPolicy, Mode
from mesh.status import Status
from mesh.testing import TurnedClock, settle
from tests.fakes.mesh import Recorded, Scripted, a_call, never

UNAVAILABLE = RemoteError(Status.UNAVAILABLE, "away")
NOT_FOUND = RemoteError(Status.NOT_FOUND, "not here")


def guarded(inner: Handler, mode: Mode = "enforce") -> tuple[Handler, Breaker, TurnedClock, Recorded]:
    clock, events = TurnedClock(), Recorded()
    breaker = Breaker("echo", "a:1", Circuit(CircuitPolicy(mode=mode), Random(1)), clock, events)
    return guard(breaker)(inner), breaker, clock, events


async def test_it_opens_refuses_without_sending_and_tells_when_to_come_again() -> None:
    """A dead endpoint costs its callers nothing."""
    inner = Scripted(*[Lost("broke") for _ in range(5)])
    handler, breaker, _, events = guarded(inner)
    for _ in range(5):
        with pytest.raises(Lost):
            await handler(a_call())
    with pytest.raises(CircuitOpen) as caught:
        await handler(a_call())
    assert len(inner.calls) == 5
    assert str(caught.value).startswith(
        "the breaker of a:1 is open (5 failures in a row): one call is let through in 0.9 s"
    )
    assert caught.value.retry_after is not None
    assert 0.8 <= caught.value.retry_after <= 1.2
    assert breaker.holder.current_state == "open"
    assert [(e.before, e.after, e.reason) for e in events.of(BreakerChanged)] == [
        ("closed", "open", "5 failures in a row")
    ]


async def test_fifty_callers_at_once_make_one_trial() -> None:
    """Every Python breaker seen so far lets all fifty through."""
    inner = Scripted(*[Lost("broke") for _ in range(5)])
    handler, breaker, clock, _ = guarded(inner)
    for _ in range(5):
        with pytest.raises(Lost):
            await handler(a_call())
    await clock.turn(2)
    waiting, answer = 0, asyncio.Event()

    async def slow(call: Call) -> Reply:
        nonlocal waiting
        waiting += 1
        await answer.wait()
        return Reply("well")

    callers = [asyncio.ensure_future(guard(breaker)(slow)(a_call())) for _ in range(50)]
    await settle()
    answer.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert waiting == 1
    assert sum(isinstance(result, CircuitOpen) for result in results) == 49
    assert breaker.state == breaker.holder.current_state == "closed"


@pytest.mark.parametrize(
    ("error", "opens"),
    [
        (Lost("broke"), True),
        (Unreachable("closed port"), True),
        (UNAVAILABLE, True),
        (RemoteError(Status.DEADLINE_EXCEEDED, "the caller was in a hurry"), False),
        (RemoteError(Status.UNAVAILABLE, "too much to do", pushback=0.1), False),
        (Refused("it goes away"), False),
        (NOT_FOUND, False),
        (RemoteError(Status.INTERNAL, "bug"), False),
        (DeadlineExceeded("the caller was in a hurry", maybe_done=True), False),
    ],
)
async def test_only_what_speaks_against_the_endpoint_counts(error: MeshError, *, opens: bool) -> None:
    """One client's bad requests must not close a service to the others."""
    handler, breaker, _, _ = guarded(Scripted(*[error] * 30))
    for _ in range(5):
        with pytest.raises(MeshError):
            await handler(a_call())
    assert (breaker.state == "open") is opens


async def test_cancellations_neither_open_nor_close() -> None:
    """The breaker library counts a cancellation as a success when it is told to leave it alone."""
    handler, breaker, _, _ = guarded(never)
    tasks = [asyncio.ensure_future(handler(a_call())) for _ in range(30)]
    await settle()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert breaker.state == "closed"
    assert breaker._circuit._recent.calls == 0


async def test_in_shadow_it_tells_what_it_would_have_refused_and_lets_it_through() -> None:
    """A policy is watched for a week before it may refuse anything."""
    inner = Scripted(*[Lost("broke") for _ in range(7)])
    handler, breaker, clock, events = guarded(inner, "shadow")
    for _ in range(7):
        with pytest.raises(Lost):
            await handler(a_call(request_id="r-1"))
    assert len(inner.calls) == 7
    assert breaker.state == "open"
    assert breaker.permits(clock.now())
    told = [
        (event.policy, event.what, event.endpoint, event.method, event.request_id) for event in events.of(WouldHave)
    ]
    assert told == [("breaker", "refused the call", "a:1", "/test.Echo/Say", "r-1")] * 2
    await clock.turn(2)
    assert (await handler(a_call())).message == "well"
    assert breaker.state == "closed", "its trials go on as if it acted"


async def test_switched_off_it_is_not_there() -> None:
    """Nothing is counted, nothing told."""
    handler, breaker, _, events = guarded(Scripted(*[Lost("broke") for _ in range(9)]), "off")
    for _ in range(9):
        with pytest.raises(Lost):
            await handler(a_call())
    assert (breaker.state, events.seen) == ("closed", [])
