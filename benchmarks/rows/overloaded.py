"""More is asked for than can be done: what comes through, what is refused and how soon, where the limit goes."""

import asyncio
import itertools
from contextlib import AsyncExitStack
from dataclasses import dataclass

from benchmarks.figures import between, p99
from benchmarks.load import OK, Load, Made
from benchmarks.replicas import Running, Stage, replicas
from benchmarks.report import Bound, Figures, Kind, at_least, at_most
from benchmarks.row import Row
from benchmarks.scale import Scale
from benchmarks.ways import Entered, Way
from benchmarks.work import Options

WORKERS, WORK = 8, 0.04
PEAK = WORKERS / WORK
"""Calls a second that one replica can do."""
CALM = 0.5  # of its peak
SETTLING = 3.0  # seconds until it is known what it can do
EVERY = 0.25  # seconds between two looks at the limit
REFUSED = frozenset({"status_unavailable", "GRPCError"})
GOOD = "good answers, % of what can be done"
REFUSALS, ACCEPTED, UNLOADED = "p99 of refusals, ms", "p99 of accepted, ms", "p99 unloaded, ms"
OTHERWISE = "failed in another way than by a refusal"
MOVED, GREW = "the limit moved by, %", "the limit grew by"
AGAIN = "good answers from 5 s after, % of what is asked for"


async def _unloaded(way: Way, scale: Scale) -> float:
    """The p99 in milliseconds while there is little to do."""
    load = Load(way, CALM * PEAK, scale.rng("calm"))
    await load.run(scale.time(20, 2))
    return p99(load.made)


def _good(made: list[Made], seconds: float) -> float:
    return sum(each.outcome == OK for each in made) / seconds


async def _limits(replica: Running, load: Load, into: list[tuple[float, float]]) -> None:
    """What the limit is, again and again."""
    while True:
        into.append((load.now(), (await replica.behave()).get("limit", 0.0)))
        await asyncio.sleep(EVERY)


@dataclass(frozen=True)
class Overload:
    """Measures a replica that is asked for so many times what it can do, for so many seconds in full size."""

    times: float
    lasts: float
    stage: Stage = replicas

    async def __call__(self, scale: Scale, entered: Entered) -> Figures:
        """One run."""
        seconds, settling = scale.time(self.lasts, 4), scale.time(SETTLING, 1)
        limits = list[tuple[float, float]]()
        async with AsyncExitStack() as running:
            options = Options(work=WORK, workers=WORKERS, admission=True, seed=scale.seed)
            (replica,) = await running.enter_async_context(self.stage(1, options))
            way = await running.enter_async_context(entered([replica.address], scale))
            unloaded = await _unloaded(way, scale)
            load = Load(way, self.times * PEAK, scale.rng("load"))
            looking = asyncio.create_task(_limits(replica, load, limits))
            await load.run(seconds)
            looking.cancel()
        made = between(load.made, settling)
        quarter = seconds / 4
        return {
            "calls": len(load.made),
            GOOD: 100 * _good(made, seconds - settling) / PEAK,
            "good answers from the beginning, %": 100 * _good(load.made, seconds) / PEAK,
            REFUSALS: p99([each for each in made if each.outcome in REFUSED]),
            ACCEPTED: p99([each for each in made if each.outcome == OK]),
            UNLOADED: unloaded,
            OTHERWISE: sum(each.outcome not in {OK, *REFUSED} for each in load.made),
            "limit": _mean(limits, settling, seconds),
            MOVED: _moved(_mean(limits, settling, quarter), _mean(limits, seconds - quarter, seconds)),
        }


def _mean(limits: list[tuple[float, float]], begin: float, end: float) -> float:
    there = [limit for at, limit in limits if begin <= at < end]
    return sum(there) / len(there) if there else 0.0


def _moved(before: float, after: float) -> float:
    return 100 * abs(after - before) / before if before else 0.0


@dataclass(frozen=True)
class TimingOut:
    """Measures a replica that answers nothing for a minute, and then all that it can."""

    stage: Stage = replicas

    async def __call__(self, scale: Scale, entered: Entered) -> Figures:
        """One run."""
        before, lasts, after = scale.time(10, 2), scale.time(60, 4), scale.time(15, 7)
        limits = list[tuple[float, float]]()
        async with AsyncExitStack() as running:
            options = Options(work=WORK, workers=WORKERS, admission=True, seed=scale.seed)
            (replica,) = await running.enter_async_context(self.stage(1, options))
            way = await running.enter_async_context(entered([replica.address], scale))
            rate = 0.9 * PEAK
            load = Load(way, rate, scale.rng("load"))
            looking = asyncio.create_task(_limits(replica, load, limits))

            async def fate() -> tuple[float, float]:
                await asyncio.sleep(before)
                looking.cancel()  # it would take the other's answer
                await asyncio.wait({looking})
                limits.append((load.now(), (await replica.behave(silent=True))["limit"]))
                wrong = load.now()
                while load.now() < before + lasts:
                    await asyncio.sleep(EVERY)
                    limits.append((load.now(), (await replica.behave())["limit"]))
                limits.append((load.now(), (await replica.behave(silent=False))["limit"]))
                return wrong, load.now()

            _, (wrong, right) = await asyncio.gather(load.run(before + lasts + after), fate())
        meanwhile = [limit for at, limit in limits if wrong <= at <= right]
        grew = [later - sooner for sooner, later in itertools.pairwise(meanwhile)]
        late = between(load.made, right + 5)
        return {
            "calls": len(load.made),
            GREW: max([0.0, *grew]),
            AGAIN: 100 * _good(late, before + lasts + after - right - 5) / rate,
            "limit before": meanwhile[0],
            "limit at the end of it": meanwhile[-1],
        }


def _bounds(good: float, *more: Bound) -> tuple[Bound, ...]:
    return at_least(GOOD, good, Kind.RATE), at_most(OTHERWISE, 0), *more


QUICK = (
    at_most(REFUSALS, 20, Kind.LATENCY),
    Bound(ACCEPTED, lambda figures: 3 * figures[UNLOADED], kind=Kind.LATENCY),
)
TWICE = Row(
    "twice",
    "a service of 8 workers, 40 ms a call, is asked for twice what it can do",
    Overload(2, 50),
    _bounds(90, *QUICK),
)
THRICE = Row("thrice", "the same for three times as much", Overload(3, 34), _bounds(80, *QUICK))
MILD = Row(
    "mild",
    "the same for 1.3 times as much, for ten minutes",
    Overload(1.3, 600),
    _bounds(90, at_most(MOVED, 10, Kind.RATE)),
    ways=("mesh",),
)
TIMING_OUT = Row(
    "timing-out",
    "every call of a service times out for 60 s, then all is well",
    TimingOut(),
    (at_most(GREW, 0), at_least(AGAIN, 90, Kind.RATE)),
    ways=("mesh",),
)
