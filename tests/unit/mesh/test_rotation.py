"""A client and its endpoints in turned time: who gets the calls when one is unwell, and when it is well again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from mesh.call import Call, Level, Method, Reply
from mesh.client import ServiceClient
from mesh.endpoints import EndpointState, Static
from mesh.endpoints.endpoint import CHECK
from mesh.errors import MeshError, RemoteError, Unreachable
from mesh.events import AttemptStarted, BreakerChanged, EjectionChanged, WouldHave
from mesh.policy import BalancePolicy, CircuitPolicy, EjectionPolicy, Policy
from mesh.status import Status
from mesh.testing import TurnedClock
from mesh.wire.grpc.health import v1 as health
from tests.fakes.mesh import Recorded

READ = Method("/test.Echo/Read", str, str, Level.NO_SIDE_EFFECTS)
SERVING = health.HealthCheckResponse(status=health.HealthCheckResponseServingStatus.SERVING)
PACE = 0.01  # seconds between two calls
ILL = "0:1"

Answer = Callable[["Far"], Awaitable[None]]


class Far:
    """What carries calls to a replica that answers as a test says; its probes are answered unless it is gone."""

    def __init__(self, clock: TurnedClock) -> None:
        self.clock, self.rng, self.gone = clock, Random(1), False
        self.answer: Answer = well

    async def __call__(self, call: Call) -> Reply:
        if self.gone:
            raise Unreachable("nobody is there")
        if call.method is CHECK:
            return Reply(SERVING)
        await self.answer(self)
        return Reply("well")

    def close(self) -> None:
        """Nothing is open."""

    def close_when_idle(self) -> None:
        """Nothing is open."""


async def well(far: Far) -> None:
    await far.clock.sleep(0.01)


async def slow(far: Far) -> None:
    await far.clock.sleep(0.2)


async def under_strain(far: Far) -> None:
    await far.clock.sleep(0.15)


async def sluggish(far: Far) -> None:
    await far.clock.sleep(0.08)


async def refuses(far: Far) -> None:
    await far.clock.sleep(0.001)
    raise RemoteError(Status.UNAVAILABLE, "away")


async def fails_half(far: Far) -> None:
    await (refuses if far.rng.random() < 0.5 else well)(far)


async def silent(far: Far) -> None:
    await far.clock.sleep(1e6)


class Running:
    """A client under a load of a hundred reads a second."""

    def __init__(self, count: int, policy: Policy | None) -> None:
        self.clock, self.events = TurnedClock(), Recorded()
        self.far: dict[str, Far] = {}
        self.client = ServiceClient(
            "echo",
            methods={"Read": READ},
            source=Static([f"{number}:1" for number in range(count)]),
            events=self.events,
            policy=policy,
            connect=self._connect,
            clock=self.clock,
            rng=Random(1),
        )
        self.failures: list[str] = []
        self._tasks = set[asyncio.Task[None]]()

    def _connect(self, address: str) -> Far:
        self.far[address] = Far(self.clock)
        return self.far[address]

    async def lasts(self, seconds: float) -> dict[str, int]:
        """How many attempts each endpoint got of the calls that began in so many seconds."""
        seen = len(self.events.seen)
        for _ in range(round(seconds / PACE)):
            task = asyncio.create_task(self._call())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await self.clock.turn(PACE)
        started = [event for event in self.events.seen[seen:] if isinstance(event, AttemptStarted)]
        return {address: sum(event.endpoint == address for event in started) for address in self.far}

    async def end(self) -> None:
        await self.clock.turn(5)
        assert not self._tasks

    def state(self, address: str = ILL) -> EndpointState:
        return next(state for state in self.client.endpoints() if state.address == address)

    async def _call(self) -> None:
        try:
            await self.client.call("Read", "x", timeout=2.0)
        except MeshError as error:
            self.failures.append(error.reason)


@asynccontextmanager
async def running(count: int = 2, policy: Policy | None = None) -> AsyncIterator[Running]:
    under_load = Running(count, policy)
    async with under_load.client:
        await under_load.clock.turn(0.1)
        await under_load.lasts(1)
        yield under_load
        await under_load.end()


@pytest.mark.parametrize(("answer", "count"), [(refuses, 2), (fails_half, 2), (silent, 2), (slow, 3)])
async def test_whoever_is_unwell_gets_almost_nothing_and_its_callers_do_not_see_it(answer: Answer, count: int) -> None:
    """What the mesh is for."""
    async with running(count) as load:
        assert min((await load.lasts(2)).values()) > 50, "while all are well, each has its part"
        load.far[ILL].answer = answer
        await load.lasts(1)
        assert (await load.lasts(5))[ILL] <= 25, "of some five hundred"
        assert load.failures == []
        load.far[ILL].answer = well
        await load.lasts(12)
        assert (await load.lasts(2))[ILL] > 40, "and has it again when it is well again"


async def test_where_all_become_slower_at_once_every_call_is_answered_and_no_breaker_opens() -> None:
    """A busy machine is slower, not away: giving every attempt up by what was usual before would end all of them."""
    async with running() as load:
        for far in load.far.values():
            far.answer = under_strain
        await load.lasts(4)
        assert load.failures == []
        assert load.events.of(BreakerChanged) == []


async def test_a_replica_that_died_and_came_back_comes_to_its_full_share_slowly() -> None:
    """Its caches are cold and its connections few."""
    async with running() as load:
        load.far[ILL].gone = True
        await load.lasts(3)
        assert load.state().probe == "unreachable"
        load.far[ILL].gone = False
        await load.clock.turn(1.0)
        shares = [(await load.lasts(1))[ILL] for _ in range(6)]
        assert 0 < shares[0] < 25
        assert shares[-1] > 40
        assert load.failures == []


CHANCE: Any = {"balance": BalancePolicy(mode="off"), "circuit": CircuitPolicy(mode="off")}


async def test_ejection_alone_takes_a_slow_one_away_weight_first_and_takes_it_back() -> None:
    """The balancer sees to it as well; each of the two must do without the other."""
    async with running(3, Policy(**CHANCE)) as load:
        load.far[ILL].answer = sluggish
        await load.lasts(4)
        assert (await load.lasts(1))[ILL] == 0
        state = load.state()
        assert (state.ejection, state.weight, state.available) == ("ejected", 0.0, False)
        assert state.ejection_reason == "its calls took 80 ms, those of the others 10 ms"
        load.far[ILL].answer = well
        while load.state().ejection != "in rotation":
            await load.lasts(0.1)
        assert load.state().weight < 0.2, "it returns by slow start"
        assert (await load.lasts(1))[ILL] > 20, "of which only the balancer, which is off here, makes something"
        changes = [(event.endpoint, event.before, event.after) for event in load.events.of(EjectionChanged)]
    assert changes == [
        (ILL, "in rotation", "lowered"),
        (ILL, "lowered", "ejected"),
        (ILL, "ejected", "in rotation"),
    ]


async def test_in_shadow_ejection_takes_nobody_away_and_tells_whom_it_would_have() -> None:
    """A week in shadow shows what it would do."""
    async with running(3, Policy(**CHANCE, ejection=EjectionPolicy(mode="shadow"))) as load:
        load.far[ILL].answer = sluggish
        await load.lasts(5)
        assert (await load.lasts(1))[ILL] > 20
        assert (load.state().ejection, load.state().available) == ("in rotation", True)
        told = [(event.policy, event.endpoint, event.what) for event in load.events.of(WouldHave)]
    assert told[:2] == [
        ("ejection", ILL, "had it lowered, not in rotation"),
        ("ejection", ILL, "had it ejected, not lowered"),
    ]
    assert load.events.of(EjectionChanged) == []


async def test_where_all_fail_alike_nobody_is_ejected_and_all_return_at_once() -> None:
    """The database behind all of them was away: no replica may stay away after it."""
    async with running() as load:
        for far in load.far.values():
            far.answer = refuses
        await load.lasts(5)
        assert [event.after for event in load.events.of(EjectionChanged)] == []
        assert {event.reason for event in load.events.of(BreakerChanged) if event.after == "open"} <= {
            "5 failures in a row",
            "the trial failed",
        }
        for far in load.far.values():
            far.answer = well
        await load.lasts(2)
        load.failures.clear()
        assert {load.state(address).breaker for address in load.far} == {"closed"}
        assert load.state().weight < 1.0, "each by slow start, which counts for nothing where it is the same for all"
        assert min((await load.lasts(4)).values()) > 50
        assert load.failures == []
