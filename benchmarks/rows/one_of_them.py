"""One of several replicas goes wrong while the others are well, and comes right again after five seconds."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from benchmarks.figures import answered, between, out_of_rotation, p99, share_of
from benchmarks.load import Load
from benchmarks.replicas import Running, Stage, replicas
from benchmarks.report import Bound, Figures, Kind, at_least, at_most, times_before
from benchmarks.row import Row
from benchmarks.scale import Scale
from benchmarks.ways import Entered
from benchmarks.work import Options

ANSWERED = "answered, %"
READS = "reads answered, %"
P99_BEFORE = "p99 before, ms"
P99_AT_ONCE = "p99 of the second after, ms"
P99_THEN = "p99 from 3 s after, ms"
OUT = "out of rotation after, s"
FROM_1_S = "attempts that reach it from 1 s after, %"
FROM_3_S = "attempts that reach it from 3 s after, %"
UNKNOWN = "failed without a reason"

Act = Callable[[Running], Awaitable[object]]


@dataclass(frozen=True)
class OneOfThem:
    """Measures a load of which one replica's part goes wrong.

    Attributes:
        harm, mend: what happens to the replica.
        count: of all replicas.
        stage: where they run.
    """

    harm: Act
    mend: Act
    count: int = 2
    options: Options = field(default_factory=Options)
    stage: Stage = replicas

    async def __call__(self, scale: Scale, entered: Entered) -> Figures:
        """One run."""
        lasts, around = scale.time(5, 2), scale.time(6, 1.5)
        rate, seconds = scale.rate(lasts + around), scale.seconds(lasts + around)
        wrong = (seconds - lasts) / 2
        mended = wrong + lasts
        async with self.stage(self.count, self.options) as running:
            unlucky = running[0]
            async with entered([replica.address for replica in running], scale) as way:
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
            READS: answered([each for each in made if each.method == "Read"]),
            P99_BEFORE: p99(between(made, 0, wrong)),
            P99_AT_ONCE: p99(between(made, wrong, wrong + 1)),
            P99_THEN: p99(between(made, wrong + 3, mended)),
            OUT: out_of_rotation(attempts, there, wrong, mended),
            FROM_1_S: share_of(attempts, there, wrong + 1, mended),
            FROM_3_S: share_of(attempts, there, wrong + 3, mended),
            "attempts that reach it in the end, %": share_of(attempts, there, seconds - 1),
            "attempts a call": len(attempts) / len(made),
            UNKNOWN: sum(each.outcome in ("", "unknown", "mesh_error") for each in made),
        }


async def _stop(replica: Running) -> None:
    replica.send(signal.SIGSTOP)


async def _go_on(replica: Running) -> None:
    replica.send(signal.SIGCONT)


def behaving(**behaviour: object) -> Act:
    """The replica behaves so (`work.Behaviour`)."""
    return lambda replica: replica.behave(**behaviour)


BLACK_HOLED: list[Bound] = [
    at_least(READS, 99.9),
    at_most(OUT, 1.5, Kind.TIME),
    times_before(P99_THEN, 2, P99_BEFORE),
]

KILLED = Row(
    "killed",
    "one of two replicas is killed (SIGKILL), and starts again after 5 s",
    OneOfThem(harm=lambda replica: replica.end(), mend=lambda replica: replica.start()),
    (at_least(ANSWERED, 99.9), times_before(P99_AT_ONCE, 3, P99_BEFORE)),
)
STOPPED = Row(
    "stopped",
    "one of two replicas is black-holed: it stands still for 5 s (SIGSTOP)",
    OneOfThem(harm=_stop, mend=_go_on),
    BLACK_HOLED,
)
DROPPED = Row(
    "dropped",
    "one of two replicas is black-holed: for 5 s nothing passes on the way to it and back",
    OneOfThem(harm=behaving(black_hole=True), mend=behaving(black_hole=False), options=Options(proxied=True)),
    BLACK_HOLED,
)
REFUSES = Row(
    "refuses",
    "one of two replicas refuses every call for 5 s, UNAVAILABLE within 1 ms",
    OneOfThem(harm=behaving(failing=1.0), mend=behaving(failing=0.0)),
    (at_least(ANSWERED, 99.9), at_most(FROM_1_S, 5, Kind.TIME)),
)
FAILS_HALF = Row(
    "fails-half",
    "one of two replicas fails half of its calls for 5 s",
    OneOfThem(harm=behaving(failing=0.5), mend=behaving(failing=0.0)),
    (at_least(ANSWERED, 99.9), at_most(OUT, 3, Kind.TIME)),
)
SLOW = Row(
    "slow",
    "one of three replicas takes 200 ms instead of 10 ms for 5 s",
    OneOfThem(harm=behaving(work=0.2), mend=behaving(work=0.01), count=3, options=Options(work=0.01)),
    (times_before(P99_THEN, 3, P99_BEFORE), at_most(FROM_3_S, 5, Kind.TIME)),
)
BLOCKED = Row(
    "blocked",
    "the event loop of one of three replicas stands still for 500 ms of each second, for 5 s",
    OneOfThem(
        harm=behaving(blocked=0.5), mend=behaving(blocked=0.0), count=3, options=Options(work=0.01, admission=True)
    ),
    (times_before(P99_THEN, 3, P99_BEFORE), at_most(UNKNOWN, 0)),
)
