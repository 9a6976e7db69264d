"""One report for all rows: what was measured either way, what must be reached, and whether it was."""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

Figures = Mapping[str, float]
"""What one run measured, each figure by a name that ends in its unit."""


class Kind(Enum):
    """What sort of figure it is: which of several runs counts, and whether a busy machine may blur it."""

    COUNT = "a count or a share; the worst run counts"
    RATE = "what came through, of what could; the worst run counts"
    LATENCY = "of calls; the median of the runs counts"
    TIME = "until something is so; the worst run counts"


@dataclass(frozen=True)
class Bound:
    """What a figure of the mesh must reach.

    Attributes:
        figure: its name.
        limit: out of all figures, since some limits are a multiple of what was before.
        at_least: it must not be smaller; otherwise, not larger.
    """

    figure: str
    limit: Callable[[Figures], float]
    at_least: bool = False
    kind: Kind = Kind.COUNT

    def holds(self, figures: Figures) -> bool:
        got, limit = figures[self.figure], self.limit(figures)
        return got >= limit if self.at_least else got <= limit

    def told(self, figures: Figures) -> str:
        return f"{'≥' if self.at_least else '≤'} {number(self.limit(figures))}"


def at_least(figure: str, limit: float, kind: Kind = Kind.COUNT) -> Bound:
    return Bound(figure, lambda _: limit, at_least=True, kind=kind)


def at_most(figure: str, limit: float, kind: Kind = Kind.COUNT) -> Bound:
    return Bound(figure, lambda _: limit, kind=kind)


def times_before(figure: str, times: float, before: str, least: float = 100.0) -> Bound:
    """At most so many times another figure, or `least`, whichever is more."""
    return Bound(figure, lambda figures: max(times * figures[before], least), kind=Kind.LATENCY)


def combined(runs: Sequence[Figures], bounds: Sequence[Bound]) -> dict[str, float]:
    """One figure out of several runs: the worst of what is bounded so, the median of all else."""
    worst = {bound.figure: min if bound.at_least else max for bound in bounds if bound.kind is not Kind.LATENCY}
    return {name: worst.get(name, statistics.median)([run[name] for run in runs]) for name in runs[0]}


@dataclass(frozen=True)
class Outcome:
    """A row's figures by way of calling, each combined out of its runs. The first way is the one that is judged."""

    name: str
    claim: str
    bounds: Sequence[Bound]
    by_way: Mapping[str, Figures]

    @property
    def figures(self) -> Figures:
        """Those that are judged."""
        return next(iter(self.by_way.values()))

    @property
    def broken(self) -> list[str]:
        """Each bound that is not kept, in a sentence."""
        return self.broken_of(*Kind)

    def broken_of(self, *kinds: Kind) -> list[str]:
        """Those of these kinds."""
        return [
            f"{self.name}: {bound.figure} is {number(self.figures[bound.figure])}, "
            f"and must be {bound.told(self.figures)}"
            for bound in self.bounds
            if bound.kind in kinds and not bound.holds(self.figures)
        ]

    def table(self) -> str:
        """For people: a line a figure."""
        figures, musts = self.figures, {bound.figure: bound for bound in self.bounds}
        lines = [f"{self.name}: {self.claim}", _line("", "must reach", *self.by_way)]
        for name in figures:
            bound = musts.get(name)
            kept = "" if bound is None else "  kept" if bound.holds(figures) else "  BROKEN"
            measured = [number(each[name]) if name in each else "–" for each in self.by_way.values()]
            lines.append(_line(name, bound.told(figures) if bound else "", *measured) + kept)
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        must = {bound.figure: bound.told(self.figures) for bound in self.bounds}
        return {"row": self.name, "claim": self.claim, "must": must, **self.by_way, "broken": self.broken}


def as_json(outcomes: Sequence[Outcome], **conditions: object) -> str:
    """All rows, and under what conditions they were measured."""
    return json.dumps({**conditions, "rows": [outcome.as_json() for outcome in outcomes]}, indent=1)


def number(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1_000 else f"{value:,.2f}"  # noqa: PLR2004


def _line(name: str, must: str, *measured: str) -> str:
    return f"  {name:<44}{must:>14}" + "".join(f"{each:>14}" for each in measured)
