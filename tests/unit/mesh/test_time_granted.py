"""How much time a call and each of its attempts are granted, on a clock turned by hand."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mesh.call import Call, Handler, Layer, Level, Reply, stack
from mesh.decide.attempt_time import AttemptTimes
from mesh.decide.circuit import Outcome
from mesh.errors import NOT_SENT, DeadlineExceeded, Lost, MeshError, RemoteError, Unreachable
from mesh.events import AttemptEnded, AttemptStarted, CallEnded, CallStarted, WouldHave
from mesh.layers.attempt import attempt
from mesh.layers.breaker import judged
from mesh.layers.deadline import deadline
from mesh.policy import AttemptPolicy, DeadlinePolicy, MethodPolicy, Policy
from mesh.server import current, detached
from mesh.server.current import ServerCall, handling
from mesh.status import Status
from mesh.testing import TurnedClock, settle
from tests.fakes.mesh import Recorded, Scripted, a_call, finished, never

SHORT = {"Say": MethodPolicy(safe=True, idempotent=True, deadline=0.5)}


def stamped(
    policy: Policy | None = None, inner: Handler | None = None
) -> tuple[Handler, Scripted, TurnedClock, Recorded]:
    clock, events, seen = TurnedClock(), Recorded(), Scripted()
    return deadline("echo", policy or Policy(), clock, events)(inner or seen), seen, clock, events


@contextmanager
def while_handling(clock: TurnedClock, left: float | None, **headers: str) -> Iterator[None]:
    """As within a service's method, whose caller waits so long."""
    with detached():  # puts back what was there before
        ends = None if left is None else clock.now() + left
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handling(ServerCall("/test.Echo/Outer", named, ends, clock))
        yield


async def test_it_keeps_a_reserve_for_this_hop_and_never_lengthens() -> None:
    """Whoever lengthens a deadline makes its caller wait for nothing."""
    handler, seen, clock, events = stamped()
    await handler(a_call(timeout=2.0))
    await handler(a_call(timeout=2.0, deadline=clock.now() + 0.5))
    await handler(a_call(timeout=0.02))
    assert [round(call.deadline - clock.now(), 3) for call in seen.calls] == [1.95, 0.5, 0.01]
    assert {event.reason for event in events.of(CallStarted)} == {"caller"}


@pytest.mark.parametrize(
    ("left", "timeout", "granted", "reason"),
    [
        (1.0, 2.0, 0.95, "handled"),
        (1.0, float("inf"), 0.95, "handled"),
        (1.0, 0.5, 0.45, "caller"),
        (0.0, 2.0, 0.0, "handled"),
        (None, 2.0, 1.95, "caller"),
    ],
)
async def test_a_call_made_while_a_call_is_handled_takes_over_what_is_left_of_it(
    left: float | None, timeout: float, granted: float, reason: str
) -> None:
    """Work goes on for nobody once the first caller has stopped waiting, unless each hop passes its deadline on."""
    handler, seen, clock, events = stamped()
    with while_handling(clock, left):
        await handler(a_call(timeout=timeout))
    assert round(seen.calls[0].deadline - clock.now(), 3) == granted
    assert [event.reason for event in events.of(CallStarted)] == [reason]


async def test_detached_work_takes_over_neither_time_nor_attempts() -> None:
    """A letter that is sent later must not be given up because the request that asked for it has been answered."""
    handler, seen, clock, _ = stamped()

    async def later() -> None:
        with pytest.raises(LookupError):
            current()
        await handler(a_call(timeout=60.0))

    with while_handling(clock, 0.1, mesh_attempts_left="2"):
        with detached():
            work = asyncio.create_task(later())
        assert current().method == "/test.Echo/Outer"
        await work
    assert round(seen.calls[0].deadline - clock.now(), 3) == 59.95
    assert (seen.calls[0].outer, seen.calls[0].attempts) == (0, 3)


@pytest.mark.parametrize(
    ("told", "outer", "attempts"), [("2", 2, 1), ("0", 0, 3), ("-1", 0, 3), ("many", 0, 3), ("9999", 0, 3), ("٢", 0, 3)]
)
async def test_what_the_caller_would_repeat_as_a_whole_is_made_once(told: str, outer: int, attempts: int) -> None:
    """So attempts of hops add up and do not multiply. What cannot be read says nothing."""
    handler, seen, clock, _ = stamped()
    with while_handling(clock, 1.0, mesh_attempts_left=told):
        await handler(a_call())
    assert (seen.calls[0].outer, seen.calls[0].attempts) == (outer, attempts)


async def test_a_methods_own_deadline_cuts_what_its_caller_grants() -> None:
    """The table says what a method may cost; its callers need not know."""
    handler, seen, clock, events = stamped(Policy(SHORT))
    await handler(a_call(timeout=2.0))
    await handler(a_call(timeout=0.3))
    assert [round(call.deadline - clock.now(), 3) for call in seen.calls] == [0.5, 0.25]
    assert [event.reason for event in events.of(CallStarted)] == ["policy", "caller"]


async def test_a_methods_deadline_in_shadow_tells_whom_it_would_have_ended() -> None:
    """How it would do is seen before it does it."""
    policy = Policy(SHORT, deadline=DeadlinePolicy("shadow"))
    clock, events = TurnedClock(), Recorded()
    handler = stack(deadline("echo", policy, clock, events), attempt_of(clock, events))(never)
    with pytest.raises(DeadlineExceeded):
        await finished(clock, handler, a_call(Level.UNKNOWN, timeout=2.0))
    assert [(event.granted, event.reason) for event in events.of(CallStarted)] == [(1.95, "caller")]
    assert [(event.policy, event.what) for event in events.of(WouldHave)] == [
        ("deadline", "ended the call after 0.5 s")
    ]


async def test_a_call_tells_when_it_begins_and_how_it_ends() -> None:
    """Where a deadline went is told from the call, its attempts, and the pauses between them."""
    handler, seen, _, events = stamped()
    seen.script = [Lost("broke"), None]
    with pytest.raises(Lost):
        await handler(a_call(request_id="r"))
    await handler(a_call(request_id="r"))
    stuck, _, _, told = stamped(inner=never)
    task = asyncio.ensure_future(stuck(a_call()))
    await settle()
    task.cancel()
    await settle()
    assert [(event.started.request_id, event.outcome) for event in events.of(CallEnded)] == [("r", "lost"), ("r", "ok")]
    assert [event.outcome for event in told.of(CallEnded)] == ["cancelled"]


def attempt_of(clock: TurnedClock, events: Recorded, policy: AttemptPolicy | None = None) -> Layer:
    return attempt("echo", "a:1", AttemptTimes(policy or AttemptPolicy()), clock, events)


def bounded(inner: Handler, policy: AttemptPolicy | None = None) -> tuple[Handler, TurnedClock, Recorded]:
    clock, events = TurnedClock(), Recorded()
    return attempt_of(clock, events, policy)(inner), clock, events


async def test_a_read_that_stays_out_is_lost_when_its_time_is_over() -> None:
    """There is time left for another endpoint."""
    handler, clock, events = bounded(never)
    task = asyncio.ensure_future(handler(a_call(deadline=clock.now() + 2)))
    await clock.turn(0.59)
    assert not task.done()
    await clock.turn(0.02)
    with pytest.raises(Lost) as caught:
        await task
    assert caught.value.reason == "attempt_timeout"
    assert [event.outcome for event in events.of(AttemptEnded)] == ["attempt_timeout"]


@pytest.mark.parametrize(("level", "error"), [(Level.IDEMPOTENT, Unreachable), (Level.UNKNOWN, DeadlineExceeded)])
async def test_what_ran_out_of_time_while_it_waited_for_a_connection_was_never_sent(
    level: Level, error: type[MeshError]
) -> None:
    """A stopped process takes connections and says nothing on them: such a call may always be made elsewhere."""

    async def connecting(call: Call) -> Reply:
        try:
            return await never(call)
        except asyncio.CancelledError:
            raise asyncio.CancelledError(NOT_SENT) from None

    handler, clock, _ = bounded(connecting)
    with pytest.raises(error, match="before there was a connection") as caught:
        await finished(clock, handler, a_call(level, deadline=clock.now() + 2))
    assert not caught.value.maybe_done


async def test_a_write_that_may_not_be_repeated_has_all_the_time_there_is() -> None:
    """Giving it up earlier would make a late answer an unknown one."""
    handler, clock, _ = bounded(never)
    task = asyncio.ensure_future(handler(a_call(Level.UNKNOWN, deadline=clock.now() + 2)))
    await clock.turn(1.9)
    assert not task.done()
    await clock.turn(0.2)
    with pytest.raises(DeadlineExceeded) as caught:
        await task
    assert caught.value.maybe_done


async def test_nothing_is_sent_once_the_deadline_has_passed() -> None:
    """Work that nobody waits for is not begun."""
    inner = Scripted()
    handler, clock, _ = bounded(inner)
    with pytest.raises(DeadlineExceeded) as caught:
        await handler(a_call(deadline=clock.now()))
    assert inner.calls == []
    assert not caught.value.maybe_done


async def test_what_a_listener_adds_travels_with_the_call() -> None:
    """So the trace context gets onto the wire without the mesh knowing of traces."""
    inner = Scripted()
    handler, clock, events = bounded(inner)
    events.subscribe(lambda event: event.metadata.update(trace="1") if isinstance(event, AttemptStarted) else None)
    await handler(a_call(deadline=clock.now() + 1, metadata={"who": "me"}))
    assert inner.calls[0].metadata == {"who": "me", "trace": "1", "mesh-attempts-left": "2"}


async def test_a_cancelled_attempt_is_told_as_cancelled() -> None:
    """It is neither a success nor a failure."""
    handler, clock, events = bounded(never)
    task = asyncio.ensure_future(handler(a_call(deadline=clock.now() + 2)))
    await settle()
    task.cancel()
    await settle()
    assert task.cancelled()
    assert [event.outcome for event in events.of(AttemptEnded)] == ["cancelled"]


async def test_an_attempt_is_waited_for_as_long_as_the_slowest_took_of_late_four_times() -> None:
    """Who answers in 2 ms as a rule is not waited for 600."""
    inner = Scripted()
    handler, clock, events = bounded(lambda call: inner(call) if len(inner.calls) < 20 else never(call))
    for _ in range(20):
        await handler(a_call(deadline=clock.now() + 2))
    await clock.turn(1)
    with pytest.raises(Lost):
        await finished(clock, handler, a_call(deadline=clock.now() + 2))
    assert [event.granted for event in events.of(AttemptStarted)] == [0.6] * 20 + [0.1]


async def test_an_attempt_that_none_follows_is_not_given_up_by_what_is_usual() -> None:
    """That would only turn a late answer into none: where all became slower, into none for anybody."""
    handler, clock, events = bounded(Scripted())
    for _ in range(20):
        await handler(a_call(deadline=clock.now() + 2))
    await clock.turn(1)
    await handler(a_call(deadline=clock.now() + 2))
    await handler(a_call(attempt=3, deadline=clock.now() + 2))
    assert [event.granted for event in events.of(AttemptStarted)][-2:] == [0.1, 0.6]


@pytest.mark.parametrize(("answered", "early"), [(0, False), (20, True)])
async def test_an_attempt_given_up_sooner_than_the_policys_most_says_so(answered: int, early: bool) -> None:  # noqa: FBT001
    """It may only have been slower than usual, which is no reason for a breaker to open."""
    inner = Scripted()
    handler, clock, _ = bounded(lambda call: inner(call) if len(inner.calls) < answered else never(call))
    for _ in range(answered):
        await handler(a_call(deadline=clock.now() + 2))
    await clock.turn(1)
    with pytest.raises(Lost) as caught:
        await finished(clock, handler, a_call(deadline=clock.now() + 2))
    assert caught.value.early is early
    assert (judged(caught.value) is Outcome.UNDECIDED) is early


async def test_what_failed_at_once_says_nothing_of_how_long_the_method_takes() -> None:
    """An outage full of quick refusals would have the first answers after it given up."""
    away = [RemoteError(Status.UNAVAILABLE, "away") for _ in range(50)]
    handler, clock, events = bounded(Scripted(*away, *[Lost("broke") for _ in range(50)]))
    for _ in range(100):
        with pytest.raises((RemoteError, Lost)):
            await handler(a_call(deadline=clock.now() + 2))
    with pytest.raises(DeadlineExceeded):
        await handler(a_call(deadline=clock.now()))
    await clock.turn(1)
    await handler(a_call(deadline=clock.now() + 2))
    assert events.of(AttemptStarted)[-1].granted == 0.6


@pytest.mark.parametrize(
    ("attempts", "number", "outer", "told"),
    [(3, 1, 0, "2"), (3, 2, 0, "1"), (3, 3, 0, None), (1, 1, 0, None), (1, 1, 2, "2")],
)
async def test_each_attempt_says_how_many_may_follow(attempts: int, number: int, outer: int, told: str | None) -> None:
    """Whoever is called knows whether it need try again itself."""
    inner = Scripted()
    handler, clock, _ = bounded(inner)
    await handler(a_call(attempts=attempts, attempt=number, outer=outer, deadline=clock.now() + 2))
    assert inner.calls[0].metadata.get("mesh-attempts-left") == told


async def test_a_time_limit_in_shadow_tells_what_it_would_have_given_up() -> None:
    """How it would do is seen before it does it."""
    handler, clock, events = bounded(never, AttemptPolicy("shadow"))
    with pytest.raises(DeadlineExceeded):
        await finished(clock, handler, a_call(deadline=clock.now() + 2))
    assert [(event.policy, event.what) for event in events.of(WouldHave)] == [
        ("attempt", "given the attempt up after 600 ms")
    ]


async def test_without_any_deadline_a_call_is_waited_for() -> None:
    """A stream of leases has no end."""
    answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    handler, clock, _ = bounded(lambda _: answer)
    task = asyncio.ensure_future(handler(a_call(Level.UNKNOWN)))
    await clock.turn(1e6)
    answer.set_result(Reply("well"))
    assert (await task).message == "well"
