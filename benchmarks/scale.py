"""How large a run is, and how patient its callers are."""

from dataclasses import dataclass
from random import Random

FULL = 20_000
"""Calls of a row in full size."""
SHORT = 0.1
"""A smaller share of the full size is a short run."""


@dataclass(frozen=True)
class Scale:
    """How large a run is.

    Attributes:
        seed: of everything that is drawn.
        share: of the full size; 1.0 by hand, some twentieth in the tests.
        saturation: calls a second that come through at the most; half of it is offered.
        patience: every time limit of the callers is so many times as long: on a machine that stands still for a
            second now and then, a test of counts would otherwise be one of the machine.
    """

    seed: int = 1
    share: float = 1.0
    saturation: float = 2_000.0
    patience: float = 1.0

    @property
    def timeout(self) -> float:
        """Seconds that a call is granted, whichever way it is made."""
        return 2.0 * self.patience

    def size(self, full: int) -> int:
        """So many of a full size, at least one."""
        return max(1, round(full * self.share))

    def time(self, full: float, least: float) -> float:
        """Seconds of a phase: all of them, and in a short run the least with which it still makes sense."""
        return full if self.share >= SHORT else least

    def rate(self, seconds: float) -> float:
        """Calls a second of a load that must last at least so many seconds."""
        return min(self.saturation / 2, self.size(FULL) / seconds)

    def seconds(self, least: float) -> float:
        """How long a load lasts: until all its calls are made, and at least so long."""
        return max(least, self.size(FULL) / self.rate(least))

    def rng(self, name: str) -> Random:
        """Draws that the seed and a name repeat."""
        return Random(f"{self.seed} {name}")
