"""Connections that their server closes when they are a second old, with Google's implementation on the other side."""

from dataclasses import dataclass

from benchmarks.figures import p99
from benchmarks.load import OK, Load
from benchmarks.replicas import replicas
from benchmarks.report import Figures, at_most
from benchmarks.row import Row
from benchmarks.scale import Scale
from benchmarks.ways import Entered
from benchmarks.work import Options

FAILED = "failed calls"
LEAST = 3.0  # seconds


@dataclass(frozen=True)
class Ageing:
    """Measures a load on one server that ages its connections.

    Attributes:
        module: the server.
    """

    module: str

    async def __call__(self, scale: Scale, entered: Entered) -> Figures:
        """One run."""
        rate, seconds = scale.rate(LEAST), scale.seconds(LEAST)
        async with (
            replicas(1, Options(max_age=1.0, work=0.005), self.module) as (server,),
            entered([server.address], scale) as way,
        ):
            load = Load(way, rate, scale.rng("load"))
            await load.run(seconds)
        return {
            "calls": len(load.made),
            "calls a second": rate,
            FAILED: sum(each.outcome != OK for each in load.made),
            "p99, ms": p99(load.made),
        }


THEIRS = Row(
    "ageing-theirs",
    "a grpcio server closes its connections every second",
    Ageing("benchmarks.theirs"),
    (at_most(FAILED, 0),),
)
OURS = Row(
    "ageing-ours",
    "a grpcio client calls our server, which closes its connections every second",
    Ageing("benchmarks.work"),
    (at_most(FAILED, 0),),
    ways=("grpcio",),
)
