"""What a service's calls may cost and repeat. The figures are starting points; each says its unit."""

from dataclasses import dataclass, field

from mesh.policy.endpoints import BalancePolicy, CircuitPolicy, EjectionPolicy


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
        balance: which endpoint takes an attempt.
        ejection: which endpoint does worse than the others.
        circuit: the breaker of each endpoint.
    """

    attempts: int = 3
    backoff_base: float = 0.025
    backoff_cap: float = 0.25
    attempt_timeout: float = 0.6
    answer_reserve: float = 0.05
    probe_interval: float = 1.0
    balance: BalancePolicy = field(default_factory=BalancePolicy)
    ejection: EjectionPolicy = field(default_factory=EjectionPolicy)
    circuit: CircuitPolicy = field(default_factory=CircuitPolicy)
