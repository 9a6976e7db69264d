"""When a breaker opens, lets one trial through, and closes. Time and randomness come in; the state is here alone.

closed ──too many failures──▶ open ──its time is over, or a probe succeeds──▶ half-open
   ▲                            ▲                                                │
   │                            └────────────── the trial fails ─────────────────┤
   └───────────────────────────────────────────── the trial succeeds ────────────┘
"""

from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import NamedTuple

from mesh.decide.window import Window
from mesh.policy import CircuitPolicy


class Outcome(Enum):
    """What a permit was used for."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNDECIDED = "undecided"  # cancelled, or ended for reasons that say nothing about the endpoint


class Permit(NamedTuple):
    """The right to make one call. It belongs to the state in which it was given."""

    generation: int
    trial: bool
    given: float


@dataclass(slots=True)
class Circuit:
    """The state of one breaker.

    Attributes:
        state: "closed", "open" or "half-open".
        reason: why it is in this state.
        until: the moment at which an open circuit lets a trial through.
    """

    policy: CircuitPolicy
    rng: Random
    state: str = "closed"
    reason: str = "new"
    until: float = 0.0
    _generation: int = 0
    _openings: int = 0
    _in_a_row: int = 0
    _failed_at: float = float("-inf")
    _trial_since: float | None = None
    _recent: Window = field(init=False)

    def __post_init__(self) -> None:
        self._recent = Window(self.policy.window)

    def permits(self, now: float) -> bool:
        """Would a call be let through now?"""
        if self.state == "closed":
            return True
        if self.state == "open":
            return now >= self.until
        return self._trial_since is None or now - self._trial_since >= self.policy.trial_limit

    def acquire(self, now: float) -> Permit | None:
        """A permit, or None. While half-open there is one permit at a time."""
        if not self.permits(now):
            return None
        if self.state == "open":
            self._become("half-open", "its time is over")
        if self.state == "half-open":
            # A trial that outlived its limit loses its say along with its place.
            self._generation += self._trial_since is not None
            self._trial_since = now
        return Permit(self._generation, self.state == "half-open", now)

    def settle(self, permit: Permit, outcome: Outcome, now: float) -> None:
        """Gives a permit back. A result from an earlier state no longer counts."""
        if permit.generation != self._generation:
            return
        if permit.trial:
            self._trial_since = None
        if outcome is Outcome.SUCCEEDED:
            self._succeeded(permit, now)
        elif outcome is Outcome.FAILED:
            self._failed(permit, now)

    def probed_well(self) -> None:
        """A health probe succeeded: an open circuit need not wait any longer for its trial."""
        if self.state == "open":
            self._become("half-open", "a probe succeeded")

    def _succeeded(self, permit: Permit, now: float) -> None:
        if permit.trial:
            self._openings = 0
            self._become("closed", "the trial succeeded")
            return
        self._in_a_row = 0
        self._recent.add(now, failed=False)

    def _failed(self, permit: Permit, now: float) -> None:
        if permit.trial:
            self._open(now, "the trial failed")
            return
        self._recent.add(now, failed=True)
        # Calls that were under way together fail together when a link breaks or this process stood still:
        # only one of them is another failure in the row.
        if permit.given >= self._failed_at:
            self._in_a_row += 1
            self._failed_at = now
        if self._in_a_row >= self.policy.in_a_row:
            self._open(now, f"{self._in_a_row} failures in a row")
            return
        failures, calls = self._recent.failures, self._recent.calls
        if calls >= self.policy.minimum and failures >= self.policy.share * calls:
            self._open(now, f"{failures} of the last {calls} calls failed")

    def _open(self, now: float, reason: str) -> None:
        wait = min(self.policy.open_cap, self.policy.open_for * 2.0 ** min(self._openings, 30))
        self._openings += 1
        self.until = now + wait * self.rng.uniform(0.8, 1.2)
        self._become("open", reason)

    def _become(self, state: str, reason: str) -> None:
        self.state, self.reason = state, reason
        self._generation += 1
        self._in_a_row = 0
        self._trial_since = None
        self._recent.clear()
