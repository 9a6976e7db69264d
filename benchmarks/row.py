"""A row of the table: a situation, what must be reached in it, and how one run of it is made."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.report import Bound, Figures, Outcome, combined
from benchmarks.scale import Scale
from benchmarks.ways import WAYS, Entered

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
        ways = ways or self.ways
        measured: dict[str, list[Figures]] = {way: [] for way in ways}
        for seed in range(scale.seed, scale.seed + runs):
            for way in ways:  # by turns, so that whatever else the machine does befalls all ways alike
                measured[way].append(await self.measure(replace(scale, seed=seed), WAYS[way]))
        by_way = {way: combined(figures, self.bounds) for way, figures in measured.items()}
        return Outcome(self.name, self.claim, self.bounds, by_way)
