"""All replicas go wrong at the same time: there is nobody to go to, and every retry makes it worse."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks.figures import between, p99
from benchmarks.load import OK, Load, Made
from benchmarks.replicas import Stage, replicas
from benchmarks.report import Figures, Kind, at_most
from benchmarks.row import Row
from benchmarks.scale import Scale
from benchmarks.state import descriptors, memory
from benchmarks.ways import Entered
from benchmarks.work import Options
from mesh.policy import BudgetPolicy

COUNT = 2
BEFORE, AFTER = 1.0, 10.0  # seconds, the second long enough for a second outage to show
BEYOND = "attempts beyond 1.2 a call and 10 a second"
FAILING = "p99 of failing answers, ms"
RECOVERED = "last failure after their return, s"
IN_FLIGHT = "most in flight, of rate x deadline"
CONNECTIONS = "connections more than before, at most"
MEMORY = "memory more than before, at most, MB"
EVERY = 0.25  # seconds between two looks
WINDOW = BudgetPolicy().window  # seconds, for which a budget holds: in a shorter time all of it may be spent at once


@dataclass(frozen=True)
class AllOfThem:
    """Measures a load while every replica behaves in a wrong way.

    Attributes:
        wrong, right: how they behave meanwhile, and afterwards.
        lasts: seconds in full size.
        stage: where they run.
    """

    wrong: Mapping[str, object]
    right: Mapping[str, object]
    lasts: float
    stage: Stage = replicas

    async def __call__(self, scale: Scale, entered: Entered) -> Figures:
        """One run."""
        lasts, after = scale.time(self.lasts, 5), scale.time(AFTER, 1.5)
        rate = scale.rate(BEFORE + lasts + after)
        seconds = scale.seconds(BEFORE + lasts + after)
        ends = seconds - after
        begins = ends - lasts
        async with (
            self.stage(COUNT, Options()) as running,
            entered([each.address for each in running], scale) as way,
        ):
            load = Load(way, rate, scale.rng("load"))

            async def behave(behaviour: Mapping[str, object]) -> float:
                await asyncio.gather(*(replica.behave(**behaviour) for replica in running))
                return load.now()

            async def fate() -> tuple[float, float]:
                await asyncio.sleep(begins)
                wrong = await behave(self.wrong)
                await asyncio.sleep(ends - load.now())
                return wrong, await behave(self.right)

            async with _watched() as most:
                _, (wrong, right) = await asyncio.gather(load.run(seconds), fate())
            attempts = [at - load.began for at, _ in way.attempts]
        meanwhile = between(load.made, wrong, right)
        sent = _sent(attempts, wrong, right)
        failed = [each for each in load.made if each.outcome != OK]
        return {
            "calls": len(load.made),
            "calls a second": rate,
            "attempts a call meanwhile": sent / len(meanwhile),
            BEYOND: _beyond(attempts, load.made, min(wrong, right - WINDOW), right),
            FAILING: p99(failed),
            RECOVERED: max([0.0, *(each.at - right for each in failed)]),
            "failed before": len([each for each in failed if _over(each) < wrong]),
            IN_FLIGHT: load.most_in_flight / (rate * scale.timeout),
            **most,
        }


def _sent(attempts: Sequence[float], begins: float, ends: float) -> int:
    return sum(begins <= at < ends for at in attempts)


def _beyond(attempts: Sequence[float], made: Sequence[Made], begins: float, ends: float) -> float:
    """How many more attempts than 1.2 a call and 10 a second; seconds before the load fill the budget, too."""
    return max(0.0, _sent(attempts, begins, ends) - 1.2 * len(between(made, begins, ends)) - 10 * (ends - begins))


def _over(made: Made) -> float:
    return made.at + made.took


@asynccontextmanager
async def _watched() -> AsyncIterator[dict[str, float]]:
    """What this process has grown by at the most while the block lasts."""
    before, most = (descriptors(), memory()), {CONNECTIONS: 0.0, MEMORY: 0.0}

    async def look() -> None:
        while True:
            most[CONNECTIONS] = max(most[CONNECTIONS], descriptors() - before[0])
            most[MEMORY] = max(most[MEMORY], memory() - before[1])
            await asyncio.sleep(EVERY)

    task = asyncio.create_task(look())
    try:
        yield most
    finally:
        task.cancel()


ALL_FAIL = Row(
    "all-fail",
    "both replicas refuse every call for 30 s, and return",
    AllOfThem({"failing": 1.0}, {"failing": 0.0}, 30),
    (at_most(BEYOND, 0), at_most(FAILING, 50, Kind.LATENCY), at_most(RECOVERED, 3, Kind.TIME)),
)
ALL_SILENT = Row(
    "all-silent",
    "both replicas answer no call for 10 s: every call times out",
    AllOfThem({"silent": True}, {"silent": False}, 10),
    # A connection each is there before, and four at the most.
    (at_most(BEYOND, 0), at_most(IN_FLIGHT, 1.25), at_most(CONNECTIONS, 3 * COUNT), at_most(MEMORY, 64)),
)
