"""How long an endpoint's answers take at present: quick to believe the worse, slow to forget it.

Source: tower's `load/peak_ewma.rs`, which has it from Finagle, read at every choice.
"""

from math import exp


class PeakEwma:
    """Seconds that jump to each sample above them, and fall with time.

    Args:
        decay: seconds in which what was seen loses 63 % of its say.
    """

    __slots__ = ("_decay", "_moment", "_peak")

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._peak, self._moment = 0.0, 0.0

    def read(self, now: float) -> float:
        """Seconds; 0 while nothing is known."""
        return self._peak * exp((self._moment - now) / self._decay) if self._peak else 0.0

    def add(self, seconds: float, now: float) -> None:
        """Something took so long, or was given up after so long."""
        if seconds >= self.read(now):
            self._peak, self._moment = seconds, now

    def clear(self) -> None:
        """Nothing is known any more."""
        self._peak = 0.0
