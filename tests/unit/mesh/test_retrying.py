"""The retry layer on a clock turned by hand: what is made again, when, where, and what remains of it in the error."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.call import Call, Handler, Level, Reply
from mesh.clock import Timer
from mesh.decide.repeat import harmless
from mesh.errors import (
    OUTCOME_UNKNOWN,
    CircuitOpen,
    DeadlineExceeded,
    Lost,
    MeshError,
    NoEndpoint,
    Refused,
    RemoteError,
    Unreachable,
)
from mesh.events import NotRetried, Retried, WouldHave
from mesh.layers.retry import Retry
from mesh.policy import BudgetPolicy, Policy, RetryPolicy
from mesh.status import Status
from mesh.testing import TurnedClock, settle
from tests.fakes.mesh import Recorded, Scripted, a_call, finished

UNAVAILABLE = RemoteError(Status.UNAVAILABLE, "away")
NOT_FOUND = RemoteError(Status.NOT_FOUND, "not here")
# Each ending of an attempt, and whether it leaves in doubt what was done.
ENDINGS: dict[str, tuple[Callable[[], MeshError], bool]] = {
    "unreachable": (lambda: Unreachable("closed port"), False),
    "refused": (lambda: Refused("goes away"), False),
    "open": (lambda: CircuitOpen("open"), False),
    "nobody": (lambda: NoEndpoint("nobody"), False),
    "lost": (lambda: Lost("broke"), True),
    "attempt timeout": (lambda: Lost("late", reason="attempt_timeout"), True),
    "late": (lambda: DeadlineExceeded("late", maybe_done=True), True),
    "not sent in time": (lambda: DeadlineExceeded("late"), False),
    "away": (lambda: RemoteError(Status.UNAVAILABLE, "away"), False),
    "away in commit": (lambda: RemoteError(Status.UNAVAILABLE, "away", code=OUTCOME_UNKNOWN), True),
    "late there": (lambda: RemoteError(Status.DEADLINE_EXCEEDED, "late"), True),
    "not found": (lambda: RemoteError(Status.NOT_FOUND, "not here"), False),
}


def retried(inner: Handler, policy: Policy | None = None) -> tuple[Handler, TurnedClock, Recorded]:
    clock, events = TurnedClock(), Recorded()
    return Retry("echo", policy or Policy(), clock, Random(1), events)(inner), clock, events


@pytest.mark.parametrize(
    ("error", "reads", "writes"),
    [
        (Unreachable("closed port"), True, True),
        (NoEndpoint("nobody"), True, True),
        (CircuitOpen("open"), True, True),
        (Lost("broke"), True, False),
        (UNAVAILABLE, True, False),
        (NOT_FOUND, False, False),
        (RemoteError(Status.INTERNAL, "bug"), False, False),
        (RemoteError(Status.DEADLINE_EXCEEDED, "late"), False, False),
        (DeadlineExceeded("late"), False, False),
    ],
)
async def test_what_may_be_repeated_follows_from_the_outcome_and_the_method(
    error: MeshError, *, reads: bool, writes: bool
) -> None:
    """A write that may have been done and is done again is a patient's double dose."""
    assert harmless(a_call(Level.NO_SIDE_EFFECTS), error) is reads
    assert harmless(a_call(Level.IDEMPOTENT), error) is reads
    assert harmless(a_call(Level.UNKNOWN), error) is writes
    assert harmless(a_call(Level.UNKNOWN, repeatable=True), error) is reads


async def test_every_status_but_unavailable_is_an_answer_and_not_repeated() -> None:
    """Repeating an answer only asks for the same answer."""
    repeated = [status for status in Status if status and harmless(a_call(), RemoteError(status, "as it is"))]
    assert repeated == [Status.UNAVAILABLE]


async def test_a_call_that_succeeds_at_once_tells_nothing() -> None:
    """The usual case costs nothing."""
    handler, clock, events = retried(Scripted())
    assert (await finished(clock, handler, a_call())).message == "well"
    assert events.seen == []


async def test_a_retry_counts_its_attempt_and_avoids_where_it_was() -> None:
    """The second attempt belongs on another endpoint."""
    first, second = Lost("broke"), Lost("broke again")
    first.endpoint, second.endpoint = "a:1", "b:2"
    inner = Scripted(first, second)
    handler, clock, events = retried(inner)
    call = a_call(deadline=clock.now() + 2)
    assert (await finished(clock, handler, call)).message == "well"
    assert [(each.attempt, each.avoid) for each in inner.calls] == [
        (1, frozenset()),
        (2, frozenset({"a:1"})),
        (3, frozenset({"a:1", "b:2"})),
    ]
    assert [(event.number, event.outcome) for event in events.of(Retried)] == [(1, "lost"), (2, "lost")]


async def test_it_ends_after_the_last_attempt_with_the_last_error_and_says_why() -> None:
    """Retries that never end turn an outage into a flood."""
    inner = Scripted(Lost("1"), Lost("2"), Unreachable("3"))
    handler, clock, events = retried(inner)
    with pytest.raises(Unreachable) as caught:
        await finished(clock, handler, a_call(deadline=clock.now() + 2))
    assert caught.value.maybe_done, "an earlier attempt may have been done"
    assert len(inner.calls) == 3
    assert [event.reason for event in events.of(NotRetried)] == ["attempts_spent"]


async def test_an_attempt_that_the_far_side_cannot_tell_the_outcome_of_is_remembered_too() -> None:
    """The database died during COMMIT; that the next attempt found it away does not say that nothing was done."""
    unknown = RemoteError(Status.UNAVAILABLE, "no answer to COMMIT", code=OUTCOME_UNKNOWN)
    away = RemoteError(Status.UNAVAILABLE, "away", code="DATABASE_DOWN")
    handler, clock, _ = retried(Scripted(unknown, away, away))
    with pytest.raises(RemoteError, match="away") as caught:
        await finished(clock, handler, a_call(deadline=clock.now() + 2))
    assert caught.value.maybe_done


async def test_it_does_not_pause_past_the_deadline() -> None:
    """A caller that gets its answer after its deadline gets none."""
    clock, events = TurnedClock(), Recorded()
    policy = Policy(retry=RetryPolicy(base=10.0, cap=10.0))
    inner = Scripted(Lost("1"))
    handler = Retry("echo", policy, clock, Random(1), events)(inner)
    with pytest.raises(Lost):
        await finished(clock, handler, a_call(deadline=clock.now() + 0.01))
    assert len(inner.calls) == 1
    assert [event.reason for event in events.of(NotRetried)] == ["no_time_left"]


async def test_what_may_not_be_repeated_is_not_and_the_event_says_so() -> None:
    """No failure has the reason unknown."""
    inner = Scripted(Lost("sent, and no answer"))
    handler, clock, events = retried(inner)
    with pytest.raises(Lost):
        await finished(clock, handler, a_call(Level.UNKNOWN))
    assert len(inner.calls) == 1
    assert [event.reason for event in events.of(NotRetried)] == ["not_repeatable"]


async def test_a_cancelled_caller_is_not_retried() -> None:
    """Nobody waits for that answer any more."""
    inner = Scripted(Lost("1"), Lost("2"))
    handler, clock, _ = retried(inner)
    task = asyncio.ensure_future(handler(a_call(deadline=clock.now() + 2)))
    await settle()
    task.cancel()
    await clock.turn(5)
    assert task.cancelled()
    assert len(inner.calls) == 1


@given(st.lists(st.sampled_from(sorted(ENDINGS)), min_size=1, max_size=4), st.booleans(), st.booleans())
def test_an_error_remembers_whether_any_of_its_attempts_may_have_been_done(
    endings: list[str],
    repeatable: bool,  # noqa: FBT001  # hypothesis gives it
    well: bool,  # noqa: FBT001
) -> None:
    """Whoever is told that nothing was done does it again: it must be true of every attempt, in every order."""

    async def scenario() -> tuple[int, MeshError | None]:
        inner = Scripted(
            *[ENDINGS[name][0]() for name in endings], *([] if well else [Lost("1"), Lost("2"), Lost("3")])
        )
        handler, clock, _ = retried(inner)
        try:
            await finished(clock, handler, a_call(repeatable=repeatable, deadline=clock.now() + 2))
        except MeshError as error:
            return len(inner.calls), error
        return len(inner.calls), None

    calls, error = asyncio.run(scenario())
    made = [ENDINGS[name][1] for name in endings[:calls]]
    if error is None:
        assert well
        assert calls == len(endings) + 1
    else:
        assert error.maybe_done == any(made + [True] * (calls - len(made)))


async def test_it_waits_as_long_as_the_far_side_asks_for() -> None:
    """Only the far side knows when it will have room."""
    inner = Scripted(RemoteError(Status.UNAVAILABLE, "full", pushback=1.5))
    handler, clock, events = retried(inner)
    task = asyncio.ensure_future(handler(a_call(deadline=clock.now() + 2)))
    await clock.turn(1.49)
    assert len(inner.calls) == 1
    await clock.turn(0.02)
    assert (await task).message == "well"
    assert [event.delay for event in events.of(Retried)] == [1.5]


@pytest.mark.parametrize("pushback", [-1.0, 2.5])
async def test_a_far_side_that_does_not_want_it_again_in_time_does_not_get_it(pushback: float) -> None:
    """A call made again against the far side's word is what keeps an overload going."""
    inner = Scripted(RemoteError(Status.UNAVAILABLE, "full", pushback=pushback))
    handler, clock, events = retried(inner)
    with pytest.raises(RemoteError, match="full"):
        await finished(clock, handler, a_call(deadline=clock.now() + 2))
    assert len(inner.calls) == 1
    assert [event.reason for event in events.of(NotRetried)] == ["pushback"]


async def failing(handler: Handler, clock: TurnedClock, calls: int) -> None:
    for _ in range(calls):
        with pytest.raises(Lost):
            await finished(clock, handler, a_call(deadline=clock.now() + 2), 1.0)


FEW = BudgetPolicy(share=0.0, per_second=0.3, window=10.0)  # three in ten seconds


def lost(_: Call) -> "asyncio.Future[Reply]":
    raise Lost("broke")


async def test_all_calls_of_a_service_share_one_budget_and_a_calm_fills_it_again() -> None:
    """In an outage the calls that are made again are few; afterwards they are made again as before."""
    handler, clock, events = retried(lost, Policy(budget=FEW))
    await failing(handler, clock, 4)
    assert [event.budget for event in events.of(Retried)] == [2, 1, 0]
    assert [event.reason for event in events.of(NotRetried)] == ["attempts_spent", *["budget_spent"] * 3]
    await clock.turn(11)
    events.seen.clear()
    await failing(handler, clock, 1)
    assert [event.budget for event in events.of(Retried)] == [2, 1]


async def test_a_budget_in_shadow_says_so_and_keeps_nobody_from_trying() -> None:
    """How it would do is seen before it does it."""
    handler, clock, events = retried(lost, Policy(budget=BudgetPolicy("shadow", 0.0, 0.3)))
    await failing(handler, clock, 4)
    assert len(events.of(Retried)) == 8
    told = [(event.service, event.policy, event.what, event.reason) for event in events.of(WouldHave)]
    assert told == [("echo", "budget", "not made the call again", "budget_spent")] * 5


async def test_without_a_budget_only_the_attempts_are_counted() -> None:
    """Off is off."""
    handler, clock, events = retried(lost, Policy(budget=BudgetPolicy("off", 0.0, 0.0)))
    await failing(handler, clock, 2)
    assert len(events.of(Retried)) == 4
    assert events.of(WouldHave) == []


class Passing:
    """A clock on which to sleep takes no time of ours."""

    def __init__(self) -> None:
        self._now = 1000.0

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += seconds

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        raise NotImplementedError(seconds)

    def call_later(self, seconds: float, do: Callable[[], None]) -> Timer:
        raise NotImplementedError(seconds, do)


@pytest.mark.parametrize("every", [0.002, 0.02, 0.5])
async def test_in_an_outage_attempts_are_at_most_a_fifth_more_than_calls_and_ten_a_second(every: float) -> None:
    """Whoever comes back to life must not be met by three times the load. Thirty seconds, at three rates of calls."""
    clock, attempts, calls = Passing(), 0, 0

    async def away(_: Call) -> Reply:
        nonlocal attempts
        attempts += 1
        raise Lost("broke")

    handler = Retry("echo", Policy(), clock, Random(1), Recorded())(away)
    ends = clock.now() + 30
    while clock.now() < ends:
        with pytest.raises(Lost):
            await handler(a_call(deadline=clock.now() + 2))
        calls += 1
        await clock.sleep(every)
    assert attempts <= 1.2 * calls + 10 * 30
    assert attempts >= min(3 * calls, 1.2 * calls + 10 * 20), "and what it grants is used"


async def test_retries_in_shadow_say_what_they_would_have_done_and_do_nothing() -> None:
    """Each call is made once, as its metadata tell the far side."""
    inner = Scripted(Lost("broke"), NOT_FOUND)
    handler, clock, events = retried(inner, Policy(retry=RetryPolicy("shadow")))
    for _ in range(2):
        with pytest.raises(MeshError):
            await finished(clock, handler, a_call(attempts=1, deadline=clock.now() + 2))
    assert len(inner.calls) == 2
    assert events.of(Retried) == []
    assert [(event.policy, event.what.partition(" after")[0]) for event in events.of(WouldHave)] == [
        ("retry", "made attempt 2")
    ]
    assert [event.reason for event in events.of(NotRetried)] == ["in_shadow", "answered"]


async def test_what_the_caller_will_repeat_itself_is_not_repeated_here() -> None:
    """Else three hops of three attempts each are twenty-seven."""
    inner = Scripted(Lost("broke"))
    handler, clock, events = retried(inner)
    with pytest.raises(Lost):
        await finished(clock, handler, a_call(outer=1, attempts=1, deadline=clock.now() + 2))
    assert [event.reason for event in events.of(NotRetried)] == ["left_to_caller"]


async def test_what_is_no_error_of_the_mesh_goes_through_as_it_is() -> None:
    """A codec that does not take a message is the caller's own fault, on the first attempt and on the second."""
    inner = Scripted(Lost("broke"), on_call=lambda call: None if call.attempt == 1 else int("no number"))
    handler, clock, _ = retried(inner)
    with pytest.raises(ValueError, match="no number"):
        await finished(clock, handler, a_call(deadline=clock.now() + 2))
