"""What an endpoint has to do, and how well it does it, as this process sees it."""

from mesh.decide.ewma import PeakEwma
from mesh.decide.window import Window
from mesh.policy import BalancePolicy


class Load:
    """Followed call by call; `mesh.decide.choice` and `mesh.decide.ejection` decide by it.

    Args:
        window: seconds that `recent` looks back.

    Attributes:
        in_flight: calls under way.
        asked: the moment at which it was last asked.
        recent: calls and failures of the last seconds.
        share: what ejection leaves it of the calls that would be its own, above 0 and at most 1.
        ejected: it gets none of them, unless there is nobody else.
    """

    __slots__ = ("_peak", "_policy", "_steady", "asked", "ejected", "in_flight", "recent", "share")

    def __init__(self, policy: BalancePolicy, window: float, now: float) -> None:
        self._policy = policy
        self._peak, self.recent = PeakEwma(policy.decay), Window(window)
        self.in_flight, self.share, self.ejected = 0, 1.0, False
        self.anew(now)

    def anew(self, now: float) -> None:
        """It is new, or has returned: nothing of before counts, and it comes to its full share slowly."""
        self._peak.clear()
        self.recent.clear()
        self.asked = now
        self._steady = now + self._policy.slow_start

    def cost(self, now: float) -> float:
        """Seconds that an answer takes; 0 while nothing is known."""
        return self._peak.read(now)

    def weight(self, now: float) -> float:
        """The share that it takes of the calls that would be its own."""
        if now >= self._steady:
            return self.share
        first, begun = self._policy.first_share, 1.0 - (self._steady - now) / self._policy.slow_start
        return self.share * (first + (1.0 - first) * begun)

    def begin(self, now: float) -> bool:
        """A call is given to it. True if it was silent for so long that what is known of it is old."""
        silent = now - self.asked > self._policy.silence
        self.asked = now
        self.in_flight += 1
        return silent

    def answered(self, took: float, now: float, *, silent: bool = False) -> None:
        """An answer came after so many seconds. `silent`: as `begin` said."""
        self.recent.add(now, failed=False, took=took)
        if silent:
            self._peak.clear()
        self._peak.add(took, now)

    def failed(self, cost: float, now: float) -> None:
        """It failed, which counts as so many seconds, and as no less than what is known."""
        self.recent.add(now, failed=True)
        self._peak.add(max(cost, self._peak.read(now)), now)

    def gave_up(self, took: float, now: float) -> None:
        """No answer was waited for any longer: it would have taken more than so many seconds."""
        self._peak.add(took, now)
