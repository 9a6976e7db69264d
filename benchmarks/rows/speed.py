"""How fast it is when nothing is wrong: how much comes through, and how long a call takes at half of that."""

from benchmarks.figures import answered, percentile
from benchmarks.load import Load, saturation
from benchmarks.replicas import replicas
from benchmarks.report import Figures
from benchmarks.row import Row
from benchmarks.scale import Scale
from benchmarks.ways import Entered
from benchmarks.work import Options

COUNT, SECONDS = 2, 5.0
SHARES = (0.5, 0.9, 0.99, 0.999)


async def most(scale: Scale, entered: Entered) -> Figures:
    """One run: 64 callers that ask again as soon as they are answered, of replicas that answer at once."""
    async with (
        replicas(COUNT, Options(work=0)) as running,
        entered([replica.address for replica in running], scale) as way,
    ):
        await saturation(way, 1.0)
        seconds = scale.time(SECONDS, 1.0)
        through = await saturation(way, seconds)
    return {"calls": through * seconds, "calls a second": through}


async def latency(scale: Scale, entered: Entered) -> Figures:
    """One run: calls at half of what comes through, of replicas that answer after 2 ms."""
    rate, seconds = scale.rate(SECONDS), scale.seconds(SECONDS)
    async with replicas(COUNT) as running, entered([each.address for each in running], scale) as way:
        load = Load(way, rate, scale.rng("load"))
        await load.run(seconds)
    took = [each.took for each in load.made]
    return {
        "calls": len(took),
        "calls a second": rate,
        "answered, %": answered(load.made),
        **{f"p{100 * share:g}, ms": 1_000 * percentile(took, share) for share in SHARES},
    }


SATURATION = Row("saturation", "nothing is wrong: calls that come through", most, ())
LATENCY = Row("latency", "nothing is wrong: how long calls take, of two replicas that answer after 2 ms", latency, ())
