"""Figures out of a load's calls and attempts. Everything here is arithmetic."""

import math
from collections.abc import Iterable, Sequence

from benchmarks.load import OK, Made
from benchmarks.ways import Attempt

BIN = 0.25
"""Seconds: a shorter time is not told from none where something is said to end."""
IN_ROTATION = 0.05
"""An endpoint that gets a smaller share of the attempts is out of rotation: a trial now and then is none."""


def between(made: Iterable[Made], begin: float, end: float = float("inf")) -> list[Made]:
    """The calls that were due in that time."""
    return [each for each in made if begin <= each.at < end]


def answered(made: Sequence[Made]) -> float:
    """The share of calls that succeeded, in percent; 100 of none."""
    return 100.0 * sum(each.outcome == OK for each in made) / len(made) if made else 100.0


def p99(made: Sequence[Made]) -> float:
    """Milliseconds within which 99 of 100 ended, well or not."""
    return percentile([each.took for each in made], 0.99) * 1_000


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that so large a share of them does not exceed; of none there is none, and no bound holds."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def share_of(attempts: Iterable[Attempt], endpoint: str, begin: float, end: float = float("inf")) -> float:
    """The share of that time's attempts that went to an endpoint, in percent; no number where there were none."""
    there = [each.endpoint == endpoint for each in attempts if begin <= each.at < end]
    return 100.0 * sum(there) / len(there) if there else math.nan


def out_of_rotation(attempts: Sequence[Attempt], endpoint: str, begin: float, end: float) -> float:
    """Seconds from `begin` until an endpoint is out of rotation for the rest of the time."""
    bins = max(1, int((end - begin) / BIN))
    last = 0
    for number in range(bins):
        at = begin + number * BIN
        if share_of(attempts, endpoint, at, at + BIN) > 100 * IN_ROTATION:
            last = number + 1
    return last * BIN
