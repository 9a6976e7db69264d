"""Whether work is worth beginning with: what takes longer than its caller waits is thrown away."""

from mesh.decide.attempt_time import Latencies
from mesh.policy.admission import AdmissionPolicy


class _Looking:
    """The median of the last ten seconds."""

    quantile, window, minimum = 0.5, 10.0, 20


class Late:
    """How long each method's calls take here.

    Attributes:
        mode: in shadow it is only told what would not be begun with.
    """

    def __init__(self, policy: AdmissionPolicy) -> None:
        self.mode = policy.late if policy.mode != "off" else "off"
        self._methods = dict[str, Latencies]()

    def took(self, method: str, seconds: float, now: float) -> None:
        """A call was answered after so long."""
        if self.mode != "off":
            if method not in self._methods:
                self._methods[method] = Latencies(_Looking())
            self._methods[method].add(seconds, now)

    def usual(self, method: str, left: float, now: float) -> float | None:
        """Seconds that half of the calls take, if fewer are left; None if there is time, or too little is known.

        What is not begun with does not count, so that after the window something is begun with again.
        """
        latencies = self._methods.get(method)
        if latencies is None:
            return None
        latencies.turn(now)
        usual = latencies.quantile
        return usual if usual is not None and left < usual else None
