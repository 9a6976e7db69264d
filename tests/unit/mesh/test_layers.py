"""Each layer alone, on a clock turned by hand."""

import asyncio
from random import Random

import pytest

from mesh.call import Call, Handler, Level, Reply, stack
from mesh.decide.attempt_time import AttemptTimes
from mesh.decide.circuit import Circuit
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
from mesh.events import AttemptEnded, AttemptStarted, BreakerChanged, Chosen, NobodyToAsk, NotRetried, Retried
from mesh.layers.attempt import attempt
from mesh.layers.balance import balance
from mesh.layers.breaker import Breaker, guard
from mesh.layers.deadline import deadline
from mesh.layers.retry import Retry
from mesh.policy import AttemptPolicy, BalancePolicy, CircuitPolicy, Mode, Policy, RetryPolicy
from mesh.status import Status
from tests.fakes.clock import TurnedClock, settle
from tests.fakes.mesh import FakeEndpoint, FakePool, Recorded, Scripted, a_call

UNAVAILABLE = RemoteError(Status.UNAVAILABLE, "away")
NOT_FOUND = RemoteError(Status.NOT_FOUND, "not here")


async def finished(clock: TurnedClock, handler: Handler, call: Call, seconds: float = 30.0) -> Reply:
    task = asyncio.ensure_future(handler(call))
    await clock.turn(seconds)
    assert task.done()
    return await task


def never(_: Call) -> "asyncio.Future[Reply]":
    return asyncio.get_running_loop().create_future()


class TestStack:
    async def test_the_first_layer_named_is_the_outermost(self) -> None:
        """The order of the stack is its meaning."""
        order: list[str] = []

        def named(name: str) -> "object":
            def layer(following: Handler) -> Handler:
                async def handler(call: Call) -> Reply:
                    order.append(name)
                    return await following(call)

                return handler

            return layer

        await stack(named("outer"), named("inner"))(Scripted())(a_call())  # type: ignore[arg-type]
        assert order == ["outer", "inner"]


class TestDeadline:
    async def test_it_keeps_a_reserve_for_this_hop_and_never_lengthens(self) -> None:
        """Whoever lengthens a deadline makes its caller wait for nothing."""
        clock, seen = TurnedClock(), Scripted()
        handler = deadline("echo", Policy(), clock, Recorded())(seen)
        await handler(a_call(timeout=2.0))
        await handler(a_call(timeout=2.0, deadline=clock.now() + 0.5))
        await handler(a_call(timeout=0.02))
        assert [round(call.deadline - clock.now(), 3) for call in seen.calls] == [1.95, 0.5, 0.01]


class TestRetry:
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
        self, error: MeshError, *, reads: bool, writes: bool
    ) -> None:
        """A write that may have been done and is done again is a patient's double dose."""
        assert harmless(a_call(Level.NO_SIDE_EFFECTS), error) is reads
        assert harmless(a_call(Level.IDEMPOTENT), error) is reads
        assert harmless(a_call(Level.UNKNOWN), error) is writes
        assert harmless(a_call(Level.UNKNOWN, repeatable=True), error) is reads

    async def test_every_status_but_unavailable_is_an_answer_and_not_repeated(self) -> None:
        """Repeating an answer only asks for the same answer."""
        repeated = [status for status in Status if status and harmless(a_call(), RemoteError(status, "as it is"))]
        assert repeated == [Status.UNAVAILABLE]

    def retried(self, inner: Handler) -> tuple[Handler, TurnedClock, Recorded]:
        clock, events = TurnedClock(), Recorded()
        return Retry("echo", Policy(), clock, Random(1), events)(inner), clock, events

    async def test_a_call_that_succeeds_at_once_tells_nothing(self) -> None:
        """The usual case costs nothing."""
        handler, clock, events = self.retried(Scripted())
        assert (await finished(clock, handler, a_call())).message == "well"
        assert events.seen == []

    async def test_a_retry_counts_its_attempt_and_avoids_where_it_was(self) -> None:
        """The second attempt belongs on another endpoint."""
        first, second = Lost("broke"), Lost("broke again")
        first.endpoint, second.endpoint = "a:1", "b:2"
        inner = Scripted(first, second)
        handler, clock, events = self.retried(inner)
        call = a_call(deadline=clock.now() + 2)
        assert (await finished(clock, handler, call)).message == "well"
        assert [(each.attempt, each.avoid) for each in inner.calls] == [
            (1, frozenset()),
            (2, frozenset({"a:1"})),
            (3, frozenset({"a:1", "b:2"})),
        ]
        assert [(event.number, event.outcome) for event in events.of(Retried)] == [(1, "lost"), (2, "lost")]

    async def test_it_ends_after_the_last_attempt_with_the_last_error_and_says_why(self) -> None:
        """Retries that never end turn an outage into a flood."""
        inner = Scripted(Lost("1"), Lost("2"), Unreachable("3"))
        handler, clock, events = self.retried(inner)
        with pytest.raises(Unreachable) as caught:
            await finished(clock, handler, a_call(deadline=clock.now() + 2))
        assert caught.value.maybe_done, "an earlier attempt may have been done"
        assert len(inner.calls) == 3
        assert [event.reason for event in events.of(NotRetried)] == ["attempts_spent"]

    async def test_an_attempt_that_the_far_side_cannot_tell_the_outcome_of_is_remembered_too(self) -> None:
        """The database died during COMMIT; that the next attempt found it away does not say that nothing was done."""
        unknown = RemoteError(Status.UNAVAILABLE, "no answer to COMMIT", code=OUTCOME_UNKNOWN)
        away = RemoteError(Status.UNAVAILABLE, "away", code="DATABASE_DOWN")
        handler, clock, _ = self.retried(Scripted(unknown, away, away))
        with pytest.raises(RemoteError, match="away") as caught:
            await finished(clock, handler, a_call(deadline=clock.now() + 2))
        assert caught.value.maybe_done

    async def test_it_does_not_pause_past_the_deadline(self) -> None:
        """A caller that gets its answer after its deadline gets none."""
        clock, events = TurnedClock(), Recorded()
        policy = Policy(retry=RetryPolicy(base=10.0, cap=10.0))
        inner = Scripted(Lost("1"))
        handler = Retry("echo", policy, clock, Random(1), events)(inner)
        with pytest.raises(Lost):
            await finished(clock, handler, a_call(deadline=clock.now() + 0.01))
        assert len(inner.calls) == 1
        assert [event.reason for event in events.of(NotRetried)] == ["no_time_left"]

    async def test_what_may_not_be_repeated_is_not_and_the_event_says_so(self) -> None:
        """No failure has the reason unknown."""
        inner = Scripted(Lost("sent, and no answer"))
        handler, clock, events = self.retried(inner)
        with pytest.raises(Lost):
            await finished(clock, handler, a_call(Level.UNKNOWN))
        assert len(inner.calls) == 1
        assert [event.reason for event in events.of(NotRetried)] == ["not_repeatable"]

    async def test_a_cancelled_caller_is_not_retried(self) -> None:
        """Nobody waits for that answer any more."""
        inner = Scripted(Lost("1"), Lost("2"))
        handler, clock, _ = self.retried(inner)
        task = asyncio.ensure_future(handler(a_call(deadline=clock.now() + 2)))
        await settle()
        task.cancel()
        await clock.turn(5)
        assert task.cancelled()
        assert len(inner.calls) == 1


class TestAttempt:
    def bounded(self, inner: Handler) -> tuple[Handler, TurnedClock, Recorded]:
        clock, events = TurnedClock(), Recorded()
        return attempt("echo", "a:1", AttemptTimes(AttemptPolicy()), clock, events)(inner), clock, events

    async def test_a_read_that_stays_out_is_lost_when_its_time_is_over(self) -> None:
        """There is time left for another endpoint."""
        handler, clock, events = self.bounded(never)
        task = asyncio.ensure_future(handler(a_call(deadline=clock.now() + 2)))
        await clock.turn(0.59)
        assert not task.done()
        await clock.turn(0.02)
        with pytest.raises(Lost) as caught:
            await task
        assert caught.value.reason == "attempt_timeout"
        assert [event.outcome for event in events.of(AttemptEnded)] == ["attempt_timeout"]

    async def test_a_write_that_may_not_be_repeated_has_all_the_time_there_is(self) -> None:
        """Giving it up earlier would make a late answer an unknown one."""
        handler, clock, _ = self.bounded(never)
        task = asyncio.ensure_future(handler(a_call(Level.UNKNOWN, deadline=clock.now() + 2)))
        await clock.turn(1.9)
        assert not task.done()
        await clock.turn(0.2)
        with pytest.raises(DeadlineExceeded) as caught:
            await task
        assert caught.value.maybe_done

    async def test_nothing_is_sent_once_the_deadline_has_passed(self) -> None:
        """Work that nobody waits for is not begun."""
        inner = Scripted()
        handler, clock, _ = self.bounded(inner)
        with pytest.raises(DeadlineExceeded) as caught:
            await handler(a_call(deadline=clock.now()))
        assert inner.calls == []
        assert not caught.value.maybe_done

    async def test_what_a_listener_adds_travels_with_the_call(self) -> None:
        """So the trace context gets onto the wire without the mesh knowing of traces."""
        inner = Scripted()
        handler, clock, events = self.bounded(inner)
        events.subscribe(lambda event: event.metadata.update(trace="1") if isinstance(event, AttemptStarted) else None)
        await handler(a_call(deadline=clock.now() + 1, metadata={"who": "me"}))
        assert inner.calls[0].metadata == {"who": "me", "trace": "1", "mesh-attempts-left": "2"}

    async def test_a_cancelled_attempt_is_told_as_cancelled(self) -> None:
        """It is neither a success nor a failure."""
        handler, clock, events = self.bounded(never)
        task = asyncio.ensure_future(handler(a_call(deadline=clock.now() + 2)))
        await settle()
        task.cancel()
        await settle()
        assert task.cancelled()
        assert [event.outcome for event in events.of(AttemptEnded)] == ["cancelled"]


def balanced(pool: FakePool, events: Recorded, mode: Mode = "enforce", clock: TurnedClock | None = None) -> Handler:
    return balance("echo", pool, BalancePolicy(mode=mode), clock or TurnedClock(), Random(1), events)


class TestBalance:
    async def test_only_available_endpoints_are_asked_and_others_than_before_if_possible(self) -> None:
        """An endpoint with an open breaker is skipped, not waited for."""
        ill, one, two = FakeEndpoint("a:1", available=False), FakeEndpoint("b:2"), FakeEndpoint("c:3")
        events = Recorded()
        handler = balanced(FakePool(ill, one, two), events)
        for _ in range(50):
            await handler(a_call(avoid=frozenset({"b:2"})))
        assert (len(ill.calls), len(one.calls), len(two.calls)) == (0, 0, 50)
        assert {(event.endpoint, event.available, event.known) for event in events.of(Chosen)} == {("c:3", 2, 3)}

    async def test_both_of_two_endpoints_are_used(self) -> None:
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
        self, endpoints: tuple[FakeEndpoint, ...], reason: str
    ) -> None:
        """`Retry-After` comes from here."""
        events = Recorded()
        handler = balanced(FakePool(*endpoints, retry_after=3.0), events)
        with pytest.raises(NoEndpoint) as caught:
            await handler(a_call())
        assert caught.value.retry_after == 3.0
        assert [event.reason for event in events.of(NobodyToAsk)] == [reason]

    async def test_an_error_says_which_endpoint_it_came_from(self) -> None:
        """The retry layer avoids it by that."""
        handler = balanced(FakePool(FakeEndpoint("a:1", Lost("broke"))), Recorded())
        with pytest.raises(Lost) as caught:
            await handler(a_call())
        assert caught.value.endpoint == "a:1"


class TestBreaker:
    def guarded(self, inner: Handler) -> tuple[Handler, Breaker, TurnedClock, Recorded]:
        clock, events = TurnedClock(), Recorded()
        breaker = Breaker("echo", "a:1", Circuit(CircuitPolicy(), Random(1)), clock, events)
        return guard(breaker)(inner), breaker, clock, events

    async def test_it_opens_refuses_without_sending_and_tells_when_to_come_again(self) -> None:
        """A dead endpoint costs its callers nothing."""
        inner = Scripted(*[Lost("broke") for _ in range(5)])
        handler, breaker, _, events = self.guarded(inner)
        for _ in range(5):
            with pytest.raises(Lost):
                await handler(a_call())
        with pytest.raises(CircuitOpen) as caught:
            await handler(a_call())
        assert len(inner.calls) == 5
        assert caught.value.retry_after is not None
        assert 0.8 <= caught.value.retry_after <= 1.2
        assert breaker.holder.current_state == "open"
        assert [(e.before, e.after, e.reason) for e in events.of(BreakerChanged)] == [
            ("closed", "open", "5 failures in a row")
        ]

    async def test_fifty_callers_at_once_make_one_trial(self) -> None:
        """Every Python breaker seen so far lets all fifty through."""
        inner = Scripted(*[Lost("broke") for _ in range(5)])
        handler, breaker, clock, _ = self.guarded(inner)
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
    async def test_only_what_speaks_against_the_endpoint_counts(self, error: MeshError, *, opens: bool) -> None:
        """One client's bad requests must not close a service to the others."""
        handler, breaker, _, _ = self.guarded(Scripted(*[error] * 30))
        for _ in range(5):
            with pytest.raises(MeshError):
                await handler(a_call())
        assert (breaker.state == "open") is opens

    async def test_cancellations_neither_open_nor_close(self) -> None:
        """The breaker library counts a cancellation as a success when it is told to leave it alone."""
        handler, breaker, _, _ = self.guarded(never)
        tasks = [asyncio.ensure_future(handler(a_call())) for _ in range(30)]
        await settle()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert breaker.state == "closed"
        assert breaker._circuit._recent.calls == 0


async def test_calls_are_never_changed_in_place() -> None:
    """A layer that changed a call would change its neighbours' too."""
    call = a_call()
    assert call._replace(attempt=2) is not call
    with pytest.raises(AttributeError):
        call.attempt = 2  # type: ignore[misc]
