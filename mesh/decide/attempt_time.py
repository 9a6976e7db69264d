"""How long to wait for one attempt: a few times what the slowest took of late."""

from math import ceil, log2
from typing import Protocol

from mesh.policy.calls import AttemptPolicy

PARTS = 10  # of the window; the oldest falls out as a whole
FINEST = 1e-4  # seconds; whatever is quicker counts as this
STEPS = 4  # buckets for each doubling: a quantile is at most 19 % too high and never too low
BUCKETS = 80  # up to 100 s


class Looking(Protocol):
    """How far back is looked, and for what."""

    @property
    def quantile(self) -> float: ...

    @property
    def window(self) -> float: ...

    @property
    def minimum(self) -> int: ...


class Latencies:
    """What a method's attempts took over the last seconds, in buckets that grow by a fifth each.

    To add one costs the same however many there are; the quantile is found once for each part of the window,
    and when an attempt was given up by it.

    Attributes:
        quantile: seconds, as of the last part; None while there were too few.
    """

    __slots__ = ("_all", "_count", "_part", "_parts", "_policy", "_width", "quantile")

    def __init__(self, policy: Looking) -> None:
        self._policy, self._width = policy, policy.window / PARTS
        self._parts = [[0] * BUCKETS for _ in range(PARTS + 1)]
        self._all, self._count, self._part = [0] * BUCKETS, 0, 0
        self.quantile: float | None = None

    def add(self, seconds: float, now: float, *, afresh: bool = False) -> None:
        """An attempt was answered, or given up, after so long. `afresh`: the quantile must know of it."""
        self.turn(now)
        bucket = min(BUCKETS - 1, int(log2(seconds / FINEST) * STEPS) + 1) if seconds > FINEST else 0
        self._parts[self._part % (PARTS + 1)][bucket] += 1
        self._all[bucket] += 1
        self._count += 1
        if afresh and self.quantile is not None:
            self.quantile = self._found()

    def turn(self, now: float) -> None:
        """Lets go of what is too old by now, and finds the quantile of the rest."""
        part = int(now / self._width)
        if part <= self._part:
            return
        for old in range(self._part + 1, min(part, self._part + PARTS + 1) + 1):
            counts = self._parts[old % (PARTS + 1)]
            self._all = [whole - gone for whole, gone in zip(self._all, counts, strict=True)]
            self._count -= sum(counts)
            counts[:] = [0] * BUCKETS
        self._part = part
        self.quantile = self._found() if self._count >= self._policy.minimum else None

    def _found(self) -> float:
        above = self._count - ceil(self._policy.quantile * self._count)
        for bucket in range(BUCKETS - 1, -1, -1):
            if self._all[bucket] > above:
                return float(FINEST * 2.0 ** (bucket / STEPS))
            above -= self._all[bucket]
        return FINEST


class AttemptTimes:
    """How long each method's attempts are waited for, in one process.

    Attributes:
        most: seconds, whatever was measured.
    """

    def __init__(self, policy: AttemptPolicy) -> None:
        self.mode, self.most = policy.mode, policy.most
        self._policy, self._methods = policy, dict[str, Latencies]()

    def granted(self, method: str, now: float) -> float:
        """Seconds for an attempt that begins now."""
        latencies = self._methods.get(method)
        if latencies is None:
            return self._policy.most
        latencies.turn(now)
        if latencies.quantile is None:
            return self._policy.most
        return min(self._policy.most, max(self._policy.least, self._policy.factor * latencies.quantile))

    def took(self, method: str, seconds: float, now: float, *, early: bool = False) -> None:
        """An attempt was answered after so long, or was given up then: what takes too long must be able to show.

        `early`: it was given up by what is known here, which shows at once, or whoever became slower would lose all
        attempts until the part of the window is over.
        """
        if method not in self._methods:
            self._methods[method] = Latencies(self._policy)
        self._methods[method].add(seconds, now, afresh=early)
