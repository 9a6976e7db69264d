"""What a service's calls may cost and repeat. The figures are starting points; each says its unit."""

from dataclasses import dataclass, field


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


@dataclass(frozen=True, slots=True)
class Policy:
    """How a service is called.

    Attributes:
        attempts: at the most, the first included.
        backoff_base: seconds; the pause before attempt n + 1 is random between 0 and base × 2ⁿ⁻¹,
        backoff_cap: at the most so many seconds.
        attempt_timeout: seconds for one attempt of a call that may be repeated.
        answer_reserve: seconds that this hop keeps of its caller's time in order to answer.
        probe_interval: seconds between health probes of an endpoint, each of which may take as long.
        circuit: the breaker of each endpoint.
    """

    attempts: int = 3
    backoff_base: float = 0.025
    backoff_cap: float = 0.25
    attempt_timeout: float = 0.6
    answer_reserve: float = 0.05
    probe_interval: float = 1.0
    circuit: CircuitPolicy = field(default_factory=CircuitPolicy)
