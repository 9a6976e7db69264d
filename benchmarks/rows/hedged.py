"""One of two replicas is slow now and then, too seldom to be taken away: what it is worth to ask twice."""

from collections.abc import Mapping
from typing import Any

from benchmarks.figures import answered, p99
from benchmarks.load import Load
from benchmarks.replicas import replicas
from benchmarks.report import Figures, Kind, at_least, at_most, times_before
from benchmarks.row import Row
from benchmarks.scale import Scale
from benchmarks.ways import Entered, mesh, plain
from benchmarks.work import READ, WRITE
from mesh.policy import BalancePolicy, EjectionPolicy, HedgePolicy, MethodPolicy

SLOW_SHARE = 0.05  # of one replica's calls
METHODS = {
    READ.name: MethodPolicy(safe=True, idempotent=True, hedge=True),
    WRITE.name: MethodPolicy(safe=False, idempotent="keyed"),
}
WHOLE = {"methods": METHODS}
ALONE = {**WHOLE, "balance": BalancePolicy(mode="off"), "ejection": EjectionPolicy(mode="off")}
"""Nothing but hedges: the balancer and ejection would find the slow one out, and leave little to see."""
OFF = {"hedge": HedgePolicy(mode="off")}
WAYS: Mapping[str, Mapping[str, Any] | None] = {
    "alone": ALONE,
    "without": {**ALONE, **OFF},
    "whole": WHOLE,
    "whole without": {**WHOLE, **OFF},
    "plain": None,
}
WITH, WITHOUT, ATTEMPTS = "p99 with hedges alone, ms", "p99 without, ms", "attempts a call with hedges alone"
ANSWERED = "answered, %"


async def hedged(scale: Scale, entered: Entered) -> Figures:  # noqa: ARG001  # all ways are measured, one by one
    """One run: the same load by each way."""
    measured = {name: await _measured(scale, but) for name, but in WAYS.items()}
    p99s = {name: each[0] for name, each in measured.items()}
    _, attempts, calls, share = measured["alone"]
    return {
        "calls": calls,
        ANSWERED: share,
        WITH: p99s["alone"],
        WITHOUT: p99s["without"],
        ATTEMPTS: attempts,
        "p99 of the whole mesh, ms": p99s["whole"],
        "p99 of the whole mesh without hedges, ms": p99s["whole without"],
        "p99 by a bare stub, ms": p99s["plain"],
        "attempts a call of the whole mesh": measured["whole"][1],
    }


async def _measured(scale: Scale, but: Mapping[str, Any] | None) -> tuple[float, float, int, float]:
    """Of the reads the p99 in ms; attempts a call; calls, and the share that was answered. None is a bare stub."""
    seconds = scale.time(5, 2)
    async with replicas(2) as running:
        addresses = [replica.address for replica in running]
        async with plain(addresses, scale) if but is None else mesh(addresses, scale, but=but) as way:
            await running[0].behave(slow=SLOW_SHARE)
            load = Load(way, scale.rate(seconds), scale.rng("load"))
            await load.run(scale.seconds(seconds))
            reads = [each for each in load.made if each.method == READ.name]
            return p99(reads), len(way.attempts) / len(load.made), len(load.made), answered(load.made)


SLOW_NOW_AND_THEN = Row(
    "slow-now-and-then",
    "one of two replicas takes 500 ms for one call in twenty",
    hedged,
    (
        at_least(ANSWERED, 99.9),
        times_before(WITH, 0.5, WITHOUT, least=0.0),
        at_most(ATTEMPTS, 1.05, Kind.COUNT),
    ),
    ways=("mesh",),
)
