"""Each layer alone, on a clock turned by hand."""

import asyncio
from random import Random

import pytest

from mesh.call import Call, Handler, Reply, stack
from mesh.decide.circuit import Circuit
from mesh.errors import (
    CircuitOpen,
    DeadlineExceeded,
    Lost,
    MeshError,
    NoEndpoint,
    Refused,
    RemoteError,
    Unreachable,
)
from mesh.events import BreakerChanged, Chosen, NobodyToAsk
from mesh.layers.balance import balance
from mesh.layers.breaker import Breaker, guard
from mesh.policy import BalancePolicy, CircuitPolicy, Mode
from mesh.status import Status
from tests.fakes.clock import TurnedClock, settle
from tests.fakes.mesh import FakeEndpoint, FakePool, Recorded, Scripted, a_call, never

UNAVAILABLE = RemoteError(Status.UNAVAILABLE, "away")
NOT_FOUND = RemoteError(Status.NOT_FOUND, "not here")


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
