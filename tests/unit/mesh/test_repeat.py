"""What follows on a failed attempt."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.call import Level
from mesh.decide.repeat import Again, WhyNot, harmless, repeat
from mesh.errors import (
    OUTCOME_UNKNOWN,
    OVERLOADED,
    CircuitOpen,
    DeadlineExceeded,
    Lost,
    MeshError,
    NoEndpoint,
    Overloaded,
    Refused,
    RemoteError,
    Unreachable,
)
from mesh.status import Status
from tests.fakes.mesh import a_call

NOW = 1000.0


def away(pushback: float | None = None) -> RemoteError:
    return RemoteError(Status.UNAVAILABLE, "away", pushback=pushback)


ERRORS = st.one_of(
    st.builds(lambda after: NoEndpoint("nobody", retry_after=after), st.none() | st.floats(0, 5)),
    st.sampled_from([Unreachable, Refused, CircuitOpen, Overloaded, Lost]).map(lambda kind: kind("as it is")),
    st.booleans().map(lambda done: DeadlineExceeded("late", maybe_done=done)),
    st.builds(
        lambda status, code, after: RemoteError(status, "no", code=code, pushback=after),
        st.sampled_from([status for status in Status if status]),
        st.sampled_from(["", OUTCOME_UNKNOWN]),
        st.none() | st.floats(-1, 5),
    ),
)


@given(
    error=ERRORS,
    repeatable=st.booleans(),
    attempt=st.integers(1, 4),
    attempts=st.integers(1, 4),
    outer=st.integers(0, 2),
    left=st.floats(0, 5),
    pause=st.floats(0, 0.25),
    budget=st.integers(0, 2),
)
def test_no_call_is_made_again_that_must_not_be(
    *,
    error: MeshError,
    repeatable: bool,
    attempt: int,
    attempts: int,
    outer: int,
    left: float,
    pause: float,
    budget: int,
) -> None:
    """The rules in one place: safe by outcome and idempotency, within attempts, time and budget, as it was asked."""
    call = a_call(repeatable=repeatable, attempt=attempt, outer=outer, deadline=NOW + left)
    verdict = repeat(call, error, attempts, pause, NOW, budget)
    if not isinstance(verdict, Again):
        assert verdict in get_args(WhyNot)
        return
    sent = isinstance(error, Lost | RemoteError | DeadlineExceeded)
    assert repeatable or not sent
    assert not isinstance(error, DeadlineExceeded)
    assert not isinstance(error, RemoteError) or error.status is Status.UNAVAILABLE
    assert attempt < attempts
    assert not outer
    assert verdict.delay < call.deadline - NOW
    assert budget >= 1 or (isinstance(error, Refused) and attempt == 1)
    asked = error.pushback if isinstance(error, RemoteError) else None
    assert verdict.delay == (pause if asked is None else asked) >= 0


@pytest.mark.parametrize(
    ("error", "fields", "budget", "why"),
    [
        (RemoteError(Status.NOT_FOUND, "no"), {}, 9, "answered"),
        (Lost("broke"), {"repeatable": False}, 9, "not_repeatable"),
        (away(), {"repeatable": False}, 9, "not_repeatable"),
        (Lost("broke"), {"attempt": 3}, 9, "attempts_spent"),
        (Lost("broke"), {"outer": 1}, 9, "left_to_caller"),
        (away(-1), {}, 9, "pushback"),
        (away(1.5), {}, 9, "pushback"),
        (NoEndpoint("nobody", retry_after=0.5), {}, 9, "nobody_available"),
        (Lost("broke"), {"deadline": NOW + 0.01}, 9, "no_time_left"),
        (DeadlineExceeded("late"), {}, 9, "no_time_left"),
        (Lost("broke"), {}, 0, "budget_spent"),
        (Refused("full"), {"attempt": 2}, 0, "budget_spent"),
    ],
)
def test_each_refusal_has_its_own_reason(error: MeshError, fields: dict[str, Any], budget: int, why: str) -> None:
    """Whoever reads why a call failed must know what to change."""
    call = a_call(**{"deadline": NOW + 1.0} | fields)
    assert repeat(call, error, 3, 0.02, NOW, budget) == why


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (Lost("broke"), Again(0.02)),
        (away(), Again(0.02)),
        (away(0.0), Again(0.0)),
        (away(0.5), Again(0.5)),
        (NoEndpoint("nobody", retry_after=0.01), Again(0.02)),
        (CircuitOpen("open", retry_after=30.0), Again(0.02)),
        (Refused("goes away"), Again(0.02, free=True)),
    ],
)
def test_what_is_made_again_waits_as_it_should(error: MeshError, again: Again) -> None:
    """As long as the far side asks for; else a jittered pause. That one breaker is open keeps nobody from another."""
    assert repeat(a_call(deadline=NOW + 1.0), error, 3, 0.02, NOW, 9) == again


def test_what_was_refused_before_it_was_begun_is_free_once() -> None:
    """A rolling restart under load must not spend what outages are for."""
    assert repeat(a_call(deadline=NOW + 1.0), Refused("goes away"), 3, 0.02, NOW, 0) == Again(0.02, free=True)


@given(ERRORS)
def test_what_may_be_made_again_although_it_is_not_repeatable_was_never_begun(error: MeshError) -> None:
    """A write that may have been done and is done again is a double write."""
    if harmless(a_call(repeatable=False), error):
        assert not error.maybe_done
        assert not isinstance(error, Lost | RemoteError)


def full(*, alone: bool) -> RemoteError:
    error = RemoteError(Status.UNAVAILABLE, "full", code=OVERLOADED, pushback=2.0)
    error.alone = alone
    return error


def test_whoever_is_full_is_left_at_once_for_another_and_once_only() -> None:
    """Its pushback is its own; a second one that is full says that there is too much to do for all of them."""
    call = a_call(Level.UNKNOWN, attempts=3)._replace(deadline=NOW + 1.9)  # never begun with: nothing is done twice
    assert repeat(call, full(alone=False), 3, 0.02, NOW, 5) == Again(0.0)
    assert repeat(call._replace(attempt=2), full(alone=False), 3, 0.02, NOW, 5) == "pushback"
    assert repeat(call, full(alone=False), 3, 0.02, NOW, 0) == "budget_spent"


def test_whoever_is_full_and_alone_is_believed() -> None:
    """To ask it again at once is more of what it has too much of."""
    call = a_call()._replace(deadline=NOW + 1.9)
    assert repeat(call, full(alone=True), 3, 0.02, NOW, 5) == "pushback"
    assert repeat(call._replace(deadline=NOW + 9), full(alone=True), 3, 0.02, NOW, 5) == Again(2.0)
