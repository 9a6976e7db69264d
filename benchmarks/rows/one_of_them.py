"""One of several replicas goes wrong while the others are well, and comes right again after five seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.figures import answered, between, out_of_rotation, p99, share_of
from benchmarks.load import Load
from benchmarks.replicas import Replica, replicas
from benchmarks.report import Figures, at_least, times_before
from benchmarks.row import Row, Scale
from benchmarks.ways import Entered
from benchmarks.work import Options

ANSWERED = "answered, %"
P99_BEFORE = "p99 before, ms"
P99_AT_ONCE = "p99 of the second after, ms"
P99_THEN = "p99 from 3 s after, ms"
OUT = "out of rotation after, s"
FROM_1_S = "attempts that reach it from 1 s after, %"
FROM_3_S = "attempts that reach it from 3 s after, %"

Act = Callable[[Replica], Awaitable[None]]


@dataclass(frozen=True)
class OneOfThem:
    """Measures a load of which one replica's part goes wrong.

    Attributes:
        harm, mend: what happens to the replica.
        count: of all replicas.
        work: seconds that an answer takes.
    """

    harm: Act
    mend: Act
    count: int = 2
    work: float = 0.002

    async def __call__(self, scale: Scale, entered: Entered) -> Figures:
        """One run."""
        lasts, around = scale.time(5, 3), scale.time(6, 2)
        rate, seconds = scale.rate(lasts + around), scale.seconds(lasts + around)
        wrong = (seconds - lasts) / 2
        mended = wrong + lasts
        async with replicas(self.count, Options(seed=scale.seed, work=self.work)) as running:
            unlucky = running[0]
            async with entered([replica.address for replica in running], scale.seed) as way:
                load = Load(way, rate, scale.rng("load"))

                async def fate() -> None:
                    await asyncio.sleep(wrong)
                    await self.harm(unlucky)
                    await asyncio.sleep(mended - load.now())
                    await self.mend(unlucky)

                await asyncio.gather(load.run(seconds), fate())
                attempts = [each._replace(at=each.at - load.began) for each in way.attempts]
        made, there = load.made, unlucky.address
        return {
            "calls": len(made),
            "calls a second": rate,
            ANSWERED: answered(made),
            P99_BEFORE: p99(between(made, 0, wrong)),
            P99_AT_ONCE: p99(between(made, wrong, wrong + 1)),
            P99_THEN: p99(between(made, wrong + 3, mended)),
            OUT: out_of_rotation(attempts, there, wrong, mended),
            FROM_1_S: share_of(attempts, there, wrong + 1, mended),
            FROM_3_S: share_of(attempts, there, wrong + 3, mended),
            "attempts that reach it in the end, %": share_of(attempts, there, seconds - 1),
            "attempts a call": len(attempts) / len(made),
        }


KILLED = Row(
    "killed",
    "one of two replicas is killed (SIGKILL), and starts again after 5 s",
    OneOfThem(harm=Replica.end, mend=Replica.start),
    (at_least(ANSWERED, 99.9), times_before(P99_AT_ONCE, 3, P99_BEFORE)),
)
