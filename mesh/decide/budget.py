"""How many attempts may be made again: a share of the calls of the last seconds, and some a second besides.

Without it each call of an outage becomes three, and whoever comes back to life is met by three times the load.
Source: tower's `retry/budget/tps_budget.rs`, Finagle's RetryBudget.
"""

from mesh.decide.window import Window
from mesh.policy.calls import BudgetPolicy

PARTS = 10  # of the window, and one more, since the present one is not over yet


class Budget:
    """One service's, in one process.

    However the calls come: whenever it grants a retry, the window that ends there holds at most
    `share` × its calls + `per_second` × its seconds of them.
    """

    __slots__ = ("_calls", "_floor", "_retries", "_share")

    def __init__(self, policy: BudgetPolicy) -> None:
        self._share, self._floor = policy.share, policy.per_second * policy.window
        self._calls, self._retries = (Window(policy.window * (PARTS + 1) / PARTS, PARTS + 1) for _ in range(2))

    def called(self, now: float) -> None:
        """A call was made, whatever comes of it."""
        self._calls.add(now, failed=False)

    def left(self, now: float) -> int:
        """So many retries would be granted now."""
        self._calls.forget(now)
        self._retries.forget(now)
        return max(0, int(self._floor + self._share * self._calls.calls - self._retries.calls))

    def spend(self, now: float) -> None:
        """A retry is made."""
        self._retries.add(now, failed=False)
