"""A row of the table: a situation, what must be reached in it, and how one run of it is made."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.report import Bound, Figures, Outcome, combined
from benchmarks.ways import WAYS, Entered

FULL = 20_000
"""Calls of a row in full size."""


@dataclass(frozen=True)
class Scale:
    """How large a run is.

    Attributes:
        seed: of everything that is drawn.
        share: of the full size; 1.0 by hand, some twentieth in the tests.
        saturation: calls a second that come through at the most; half of it is offered.
    """

    seed: int = 1
    share: float = 1.0
    saturation: float = 2_000.0

    def size(self, full: int) -> int:
        """So many of a full size, at least one."""
        return max(1, round(full * self.share))

    def time(self, full: float, least: float) -> float:
        """So much of a full run's seconds, and at least so many."""
        return min(full, max(least, full * self.share))

    def rate(self, seconds: float) -> float:
        """Calls a second of a load that must last at least so many seconds."""
        return min(self.saturation / 2, self.size(FULL) / seconds)

    def seconds(self, least: float) -> float:
        """How long a load lasts: until all its calls are made, and at least so long."""
        return max(least, self.size(FULL) / self.rate(least))

    def rng(self, name: str) -> Random:
        """Draws that the seed and a name repeat."""
        return Random(f"{self.seed} {name}")


Measure = Callable[[Scale, Entered], Awaitable[Figures]]


@dataclass(frozen=True)
class Row:
    """One situation.

    Attributes:
        claim: what happens in it, in a line.
        measure: makes one run with one way of calling.
        bounds: what the mesh must reach.
        ways: those that are measured; the first is judged.
    """

    name: str
    claim: str
    measure: Measure
    bounds: Sequence[Bound]
    ways: Sequence[str] = ("mesh", "plain")

    async def run(self, scale: Scale, runs: int = 1, ways: Sequence[str] | None = None) -> Outcome:
        """All runs of it, their figures combined."""
        by_way = {}
        for way in ways or self.ways:
            seeds = range(scale.seed, scale.seed + runs)
            figures = [await self.measure(Scale(seed, scale.share, scale.saturation), WAYS[way]) for seed in seeds]
            by_way[way] = combined(figures, self.bounds)
        return Outcome(self.name, self.claim, self.bounds, by_way)
