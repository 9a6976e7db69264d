"""How many attempts may be made again: a share of the calls of the last seconds, and some a second besides.

Without it each call of an outage becomes three, and whoever comes back to life is met by three times the load.
Source: tower's `retry/budget/tps_budget.rs`, Finagle's RetryBudget.
"""

from mesh.policy.calls import BudgetPolicy

PARTS = 10  # of the window; the oldest falls out as a whole


class Budget:
    """One service's, in one process.

    However the calls come: whenever it grants a retry, the window that ends there holds at most
    `share` × its calls + `per_second` × its seconds of them.
    """

    __slots__ = ("_calls", "_floor", "_made", "_part", "_retries", "_share", "_spent", "_width")

    def __init__(self, policy: BudgetPolicy) -> None:
        self._share, self._floor = policy.share, policy.per_second * policy.window
        self._width = policy.window / PARTS
        # One more than the window has, since the present one is not over yet.
        self._calls, self._retries = [0] * (PARTS + 1), [0] * (PARTS + 1)
        self._made, self._spent, self._part = 0, 0, 0

    def called(self, now: float) -> None:
        """A call was made, whatever comes of it."""
        self._turn(now)
        self._calls[self._part % (PARTS + 1)] += 1
        self._made += 1

    def left(self, now: float) -> int:
        """So many retries would be granted now."""
        self._turn(now)
        return max(0, int(self._floor + self._share * self._made - self._spent))

    def spend(self, now: float) -> None:
        """A retry is made."""
        self._turn(now)
        self._retries[self._part % (PARTS + 1)] += 1
        self._spent += 1

    def _turn(self, now: float) -> None:
        part = int(now / self._width)
        if part <= self._part:
            return
        for old in range(self._part + 1, min(part, self._part + PARTS + 1) + 1):
            here = old % (PARTS + 1)
            self._made -= self._calls[here]
            self._spent -= self._retries[here]
            self._calls[here] = self._retries[here] = 0
        self._part = part
