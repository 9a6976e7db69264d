"""Whether a read that takes long is asked of a second endpoint, too.

Source: "The Tail at Scale", Dean and Barroso, 2013 (hedged requests: after the 95th percentile, some 5 % more calls);
gRFC A6 (github.com/grpc/proposal), "Hedging Policy".
"""

from typing import Literal

from mesh.decide.attempt_time import Latencies
from mesh.decide.budget import Budget
from mesh.policy.calls import BudgetPolicy, HedgePolicy

WhyNot = Literal[
    "hedges_spent",
    "breaker_open",  # the service is in trouble, and more calls are not what it needs
    "nobody_else",  # to ask the same endpoint twice helps nobody
]
"""Why a late read is not asked twice."""


class Hedging:
    """One service's reads, in one process: how long they take, method by method, and how many were asked twice."""

    def __init__(self, policy: HedgePolicy) -> None:
        self._policy, self._methods = policy, dict[str, Latencies]()
        self._budget = Budget(BudgetPolicy(share=policy.share, per_second=0.0, window=policy.window))

    def called(self, method: str, now: float) -> float | None:
        """A read begins. Seconds after which it is late; None while that is not known."""
        self._budget.called(now)
        latencies = self._methods.get(method)
        if latencies is None:
            return None
        latencies.turn(now)
        return latencies.quantile

    def took(self, method: str, seconds: float, now: float) -> None:
        """A first attempt was answered after so long, or would have been later: another's answer came before it."""
        if method not in self._methods:
            self._methods[method] = Latencies(self._policy)
        self._methods[method].add(seconds, now)

    def why_not(self, now: float, *, troubled: bool, others: bool) -> WhyNot | None:
        """Why a read that is late is not asked twice.

        Args:
            now: seconds of the clock.
            troubled: a breaker of the service is not closed.
            others: somebody could be asked who was not.
        """
        if troubled:
            return "breaker_open"
        if not others:
            return "nobody_else"
        return None if self.left(now) else "hedges_spent"

    def left(self, now: float) -> int:
        """So many hedges would be granted now."""
        return self._budget.left(now)

    def spend(self, now: float) -> None:
        """One is made."""
        self._budget.spend(now)
