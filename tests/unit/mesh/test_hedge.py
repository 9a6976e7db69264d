"""A read that takes long is asked of a second endpoint, too: when, how often, and what becomes of either attempt."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.call import Call, Handler, Reply
from mesh.client import ServiceClient
from mesh.decide.hedge import Hedging
from mesh.errors import DeadlineExceeded, Lost, MeshError, RemoteError, Unreachable
from mesh.events import AttemptEnded, Events, Hedged, NotHedged, NotRetried, Retried, WouldHave
from mesh.layers.hedge import Hedge
from mesh.layers.retry import Retry
from mesh.policy import BalancePolicy, EjectionPolicy, HedgePolicy, MethodPolicy, Mode, Policy
from mesh.status import Status
from mesh.testing import InMemory, LoopClock, TurnedClock, assert_amplification, in_pure_time, settle
from tests.fakes.mesh import Recorded, a_call
from tests.simulation import SAY, Echo

READS = {"Say": MethodPolicy(safe=True, idempotent=True, hedge=True)}
USUAL = 0.01  # seconds; a read is late a little after that


@dataclass
class Ways:
    """What becomes of each attempt: so many seconds, then a reply or an error."""

    script: list[tuple[float, str | MeshError]]
    clock: TurnedClock
    calls: list[Call] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)

    async def __call__(self, call: Call) -> Reply:
        self.calls.append(call)
        if call.asked is not None:
            call.asked.append(f"{'abc'[call.attempt - 1]}:1")
        seconds, ending = self.script[len(self.calls) - 1]
        try:
            await self.clock.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(call.attempt)
            raise
        if isinstance(ending, MeshError):
            raise ending
        return Reply(ending)


class Places:
    """Who could be asked."""

    def __init__(self, *, troubled: bool = False, others: bool = True) -> None:
        self._troubled, self._others = troubled, others
        self.asked: list[list[str]] = []

    def troubled(self) -> bool:
        return self._troubled

    def others(self, asked: Collection[str]) -> bool:
        self.asked.append(list(asked))
        return self._others


class Hedges:
    """A hedge layer that knows how long its reads take, with a retry layer around it."""

    def __init__(
        self,
        *script: tuple[float, str | MeshError],
        places: Places | None = None,
        mode: Mode = "enforce",
        reads: int = 100,
    ) -> None:
        self.clock, self.events, self.places = TurnedClock(), Recorded(), places or Places()
        self.ways = Ways(list(script), self.clock)
        policy = Policy(methods=READS, hedge=HedgePolicy(mode=mode))
        self.hedge = hedge = Hedge("echo", policy, self.places, self.clock, self.events)
        self.handler: Handler = Retry("echo", policy, self.clock, Random(1), self.events)(hedge(self.ways))
        for _ in range(reads):
            hedge.hedging.called(SAY.path, self.clock.now())
            hedge.hedging.took(SAY.path, USUAL, self.clock.now())

    async def ended(self, seconds: float = 5.0) -> Reply:
        failed = list[object]()  # in a callback, which would else only be logged
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        await self.clock.turn(1.0)  # so that a part of the window is over, and what was in it known
        task = asyncio.ensure_future(self.handler(a_call(deadline=self.clock.now() + seconds)))
        await self.clock.turn(seconds)
        assert task.done()
        assert failed == []
        return await task


async def test_a_read_in_the_usual_time_is_asked_once() -> None:
    """Nothing is added where nothing is wrong."""
    hedges = Hedges((USUAL, "well"))
    assert (await hedges.ended()).message == "well"
    assert len(hedges.ways.calls) == 1
    assert hedges.events.seen == []


async def test_a_late_read_is_asked_elsewhere_and_the_first_answer_counts() -> None:
    """One slow answer in twenty would otherwise be one slow page in five."""
    hedges = Hedges((3.0, "slow"), (USUAL, "quick"))
    assert (await hedges.ended()).message == "quick"
    assert [(call.attempt, call.avoid) for call in hedges.ways.calls] == [(1, frozenset()), (2, frozenset({"a:1"}))]
    assert hedges.ways.cancelled == [1]
    assert hedges.places.asked == [["a:1"]]
    (hedged,) = hedges.events.of(Hedged)
    assert (hedged.number, hedged.budget) == (1, 4)
    assert USUAL <= hedged.seconds <= 1.2 * USUAL


async def test_the_first_may_still_be_the_first_to_answer() -> None:
    """The second is then cancelled; nothing of it is left."""
    hedges = Hedges((2 * USUAL, "first"), (3.0, "second"))
    assert (await hedges.ended()).message == "first"
    assert hedges.ways.cancelled == [2]


async def test_an_answer_that_is_a_refusal_counts_as_an_answer() -> None:
    """Whoever is not found by one is not found by the other, and nobody waits for that."""
    hedges = Hedges((3.0, "slow"), (USUAL, RemoteError(Status.NOT_FOUND, "not here")))
    with pytest.raises(RemoteError, match="not here"):
        await hedges.ended()
    assert hedges.ways.cancelled == [1]


@pytest.mark.parametrize("error", [Lost("broke"), Unreachable("closed"), RemoteError(Status.UNAVAILABLE, "away")])
async def test_where_one_fails_the_other_is_waited_for(error: MeshError) -> None:
    """A hedge that meets a dead replica must not end a call that was about to be answered, nor the other way round."""
    hedges = Hedges((1.0, "first"), (USUAL, error))
    assert (await hedges.ended()).message == "first"
    hedges = Hedges((2 * USUAL, error), (1.0, "second"))
    assert (await hedges.ended()).message == "second"
    assert len(hedges.ways.calls) == 2


async def test_two_that_fail_are_two_attempts_and_the_third_is_the_last() -> None:
    """A method that may have three attempts has three, whoever makes them."""
    hedges = Hedges((1.0, Lost("first")), (0.5, Unreachable("second")), (USUAL, Lost("third")))
    with pytest.raises(Lost, match="third") as caught:
        await hedges.ended()
    assert caught.value.maybe_done
    assert [call.attempt for call in hedges.ways.calls] == [1, 2, 3]
    assert [event.number for event in hedges.events.of(Retried)] == [2]
    assert [(event.number, event.reason) for event in hedges.events.of(NotRetried)] == [(3, "attempts_spent")]


async def test_who_says_when_to_come_again_is_heeded_though_the_other_failed_otherwise() -> None:
    """A hedge must not be a way past a service that asks to be left alone."""
    never = RemoteError(Status.UNAVAILABLE, "not again", pushback=-1.0)
    hedges = Hedges((1.0, never), (2.0, Lost("second")))
    with pytest.raises(RemoteError, match="not again"):
        await hedges.ended()
    assert [event.reason for event in hedges.events.of(NotRetried)] == ["pushback"]


async def test_the_end_of_the_time_ends_both() -> None:
    """Nobody waits any more."""
    hedges = Hedges((1.0, DeadlineExceeded("late")), (3.0, "second"))
    with pytest.raises(DeadlineExceeded):
        await hedges.ended()
    assert hedges.ways.cancelled == [2]


async def test_a_caller_that_gives_up_leaves_neither_behind() -> None:
    """Work whose caller has gone is thrown away, twice as much of it here."""
    hedges = Hedges((3.0, "slow"), (3.0, "slow, too"))
    await hedges.clock.turn(1.0)
    task = asyncio.ensure_future(hedges.handler(a_call()))
    await hedges.clock.turn(1.0)
    assert len(hedges.ways.calls) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(hedges.ways.cancelled) == [1, 2]
    assert not task.cancelling() > 1
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(
    ("places", "reads", "reason"),
    [
        (Places(troubled=True), 100, "breaker_open"),
        (Places(others=False), 100, "nobody_else"),
        (Places(), 19, None),
        (Places(), 20, "hedges_spent"),
    ],
)
async def test_it_is_not_asked_twice_while_that_helps_nobody(places: Places, reads: int, reason: str | None) -> None:
    """An outage is not to be met by more calls; why not is told. With too few reads nobody knows what is late."""
    hedges = Hedges((0.5, "slow"), places=places, reads=reads)
    if reason == "hedges_spent":
        hedges.ways.script *= 2
        await hedges.ended()  # 21 reads, one hedge
    hedges.ways.script.append((0.5, "slow"))
    assert (await hedges.ended()).message == "slow"
    assert [event.reason for event in hedges.events.of(NotHedged)] == ([reason] if reason else [])


async def test_in_shadow_it_says_what_it_would_do() -> None:
    """A figure can be tried out on real traffic before it costs anything."""
    hedges = Hedges((0.5, "slow"), mode="shadow")
    assert (await hedges.ended()).message == "slow"
    assert [(event.policy, event.reason) for event in hedges.events.of(WouldHave)] == [("hedge", "slower_than_most")]


async def test_writes_and_calls_that_have_one_attempt_are_never_asked_twice() -> None:
    """A dose that is written twice is a double dose; and whoever asked for this call may ask again itself."""
    for call, methods in [(a_call(attempts=1), READS), (a_call(attempt=2), READS), (a_call(), {})]:
        hedges = Hedges((0.5, "slow"))
        policy = Policy(methods=methods)
        hedge = Hedge("echo", policy, Places(), hedges.clock, hedges.events)
        for _ in range(100):
            hedge.hedging.called(SAY.path, hedges.clock.now())
            hedge.hedging.took(SAY.path, USUAL, hedges.clock.now())
        await hedges.clock.turn(1.0)
        task = asyncio.ensure_future(hedge(hedges.ways)(call))
        await hedges.clock.turn(1.0)
        assert (await task).message == "slow"
        assert hedges.events.seen == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("turns", range(6))
async def test_answers_of_both_at_nearly_the_same_moment_are_one_answer(order: tuple[int, int], turns: int) -> None:
    """A cancellation that is left on a caller's task would end its next call, which nobody gave up."""
    hedges = Hedges()
    answers = [asyncio.get_running_loop().create_future() for _ in range(2)]

    async def ways(call: Call) -> Reply:
        return Reply(await answers[call.attempt - 1])

    hedge = Hedge("echo", Policy(methods=READS), Places(), hedges.clock, hedges.events)
    hedge.hedging = hedges.hedge.hedging
    await hedges.clock.turn(1.0)

    async def calls() -> str:
        reply = await hedge(ways)(a_call())
        await settle()
        return str(reply.message)

    task = asyncio.ensure_future(calls())
    await hedges.clock.turn(1.0)
    answers[order[0]].set_result("well")
    for _ in range(turns):
        await asyncio.sleep(0)
    if not answers[order[1]].done():
        answers[order[1]].set_result("well")
    assert await task == "well"
    assert task.cancelling() == 0


READ = st.tuples(st.floats(0, 3, allow_nan=False), st.integers(1, 200), st.integers(0, 3))


@given(st.lists(READ, min_size=1, max_size=30), st.sampled_from([0.05, 0.2]))
def test_hedges_are_never_more_than_their_share_of_the_reads(
    bursts: list[tuple[float, int, int]], share: float
) -> None:
    """However many are late: a budget with a floor would double the calls of a service that is seldom asked."""
    hedging, now, reads, hedges = Hedging(HedgePolicy(share=share)), 0.5, 0, 0
    for pause, count, wishes in bursts:
        now += pause
        for _ in range(count):
            hedging.called("/a/B", now)
            reads += 1
        for _ in range(wishes * count):
            if hedging.why_not(now, troubled=False, others=True) is None:
                hedging.spend(now)
                hedges += 1
        assert hedges <= share * reads + 1e-6


@given(st.lists(st.floats(0.0005, 0.5), min_size=200, max_size=400))
def test_few_reads_are_late(times: list[float]) -> None:
    """At most one in twenty of those that it is reckoned by takes longer."""
    hedging = Hedging(HedgePolicy())
    for seconds in times:
        hedging.took("/a/B", seconds, 0.5)
    after = hedging.called("/a/B", 1.5)
    assert after is not None
    assert sum(seconds > after for seconds in times) <= 0.05 * len(times)
    assert hedging.called("/a/other", 1.5) is None
    assert hedging.called("/a/B", 20.0) is None, "what is old says nothing"


def slow_now_and_then(rng: Random) -> Callable[[], float]:
    return lambda: 0.5 if rng.random() < 0.05 else rng.uniform(0.002, 0.004)


@dataclass
class Seen:
    """What a run came to."""

    took: list[float] = field(default_factory=list)
    attempts: int = 0
    outcomes: set[str] = field(default_factory=set)

    @property
    def p99(self) -> float:
        return sorted(self.took)[round(0.99 * len(self.took))]


async def a_replica_that_is_slow_now_and_then(mode: Mode) -> Seen:
    """4,000 reads of two replicas, one of which takes 500 ms for one in twenty. Nothing else takes it away."""
    clock, events, rng, seen = LoopClock(), Events(), Random(7), Seen()
    service = InMemory(lambda: [Echo()], ["a:1", "b:2"], clock=clock)
    service["a:1"].latency = slow_now_and_then(rng)
    service["b:2"].latency = lambda: rng.uniform(0.002, 0.004)
    policy = Policy(
        methods=READS,
        hedge=HedgePolicy(mode=mode),
        balance=BalancePolicy(mode="off"),
        ejection=EjectionPolicy(mode="off"),
    )
    client = ServiceClient(
        "echo",
        methods={"Say": SAY},
        source=service,
        events=events,
        policy=policy,
        connect=service.connect,
        clock=clock,
        rng=rng,
    )

    def hear(event: object) -> None:
        if isinstance(event, AttemptEnded):
            seen.outcomes.add(event.outcome)

    async def one() -> None:
        begun = clock.now()
        assert (await client.call("Say", "hello", timeout=2.0)).message == "hello"
        seen.took.append(clock.now() - begun)

    with events.subscribed(hear), assert_amplification(events, 1.05) as counted:
        async with client, asyncio.TaskGroup() as calls:
            await client.ready()
            for _ in range(4000):
                calls.create_task(one())
                await asyncio.sleep(rng.expovariate(200))
        seen.attempts = counted.attempts
    assert service["a:1"].in_flight == service["b:2"].in_flight == 0
    return seen


def test_where_one_of_two_replicas_is_slow_now_and_then_hedges_halve_the_slowest_percent() -> None:
    """The table's row, in pure time: p99 with hedges at most half of what it is without, attempts at most 1.05 ×."""
    without, hedged = (in_pure_time(a_replica_that_is_slow_now_and_then(mode)) for mode in ("off", "enforce"))
    assert without.p99 == pytest.approx(0.5, abs=0.01)
    assert hedged.p99 <= 0.5 * without.p99
    assert hedged.attempts > without.attempts == 4000
    assert hedged.outcomes == {"ok", "cancelled"}
