"""What the endpoints of a service are measured by. The figures are starting points; each says its unit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """When an endpoint's breaker opens, and for how long.

    Attributes:
        in_a_row: so many failures one after another open it;
        share: so does this share of failures,
        minimum: of at least so many calls,
        window: within so many seconds.
        open_for: seconds it stays open the first time, doubling up to
        open_cap: seconds.
        trial_limit: seconds after which a trial call that has not ended no longer keeps others out.
    """

    in_a_row: int = 5
    share: float = 0.5
    minimum: int = 20
    window: float = 10.0
    open_for: float = 1.0
    open_cap: float = 30.0
    trial_limit: float = 2.0
