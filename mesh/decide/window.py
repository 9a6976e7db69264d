"""What happened in the last seconds, in counts."""


class Window:
    """Counts calls and failures over the last `seconds`, in parts, of which the oldest falls out as a whole.

    To add costs the same however much is in it.

    Attributes:
        calls, failures: how many.
        took: seconds that they took, all together.
    """

    __slots__ = ("_counts", "_part", "_width", "calls", "failures", "took")

    def __init__(self, seconds: float, parts: int = 10) -> None:
        self._width = seconds / parts
        self._counts = [(0, 0, 0.0)] * parts
        self._part = 0
        self.calls, self.failures, self.took = 0, 0, 0.0

    def add(self, now: float, *, failed: bool, took: float = 0.0) -> None:
        """One more call, which ended now."""
        self.forget(now)
        here = self._part % len(self._counts)
        calls, failures, seconds = self._counts[here]
        self._counts[here] = (calls + 1, failures + failed, seconds + took)
        self.calls += 1
        self.failures += failed
        self.took += took

    def forget(self, now: float) -> None:
        """Lets go of what is too old by now."""
        part = int(now / self._width)
        if part <= self._part:
            return
        for old in range(self._part + 1, min(part, self._part + len(self._counts)) + 1):
            calls, failures, took = self._counts[old % len(self._counts)]
            self._counts[old % len(self._counts)] = (0, 0, 0.0)
            self.calls -= calls
            self.failures -= failures
            self.took -= took
        self._part = part
        if not self.calls:
            self.took = 0.0  # what rounding left of it

    def clear(self) -> None:
        """Begins anew."""
        self._counts = [(0, 0, 0.0)] * len(self._counts)
        self.calls, self.failures, self.took = 0, 0, 0.0
