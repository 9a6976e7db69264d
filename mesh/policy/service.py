"""How one service is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mesh.call import Method
from mesh.policy.admission import AdmissionPolicy
from mesh.policy.cache import CachePolicy
from mesh.policy.calls import AttemptPolicy, BudgetPolicy, DeadlinePolicy, HedgePolicy, RetryPolicy
from mesh.policy.endpoints import BalancePolicy, CircuitPolicy, EjectionPolicy
from mesh.policy.methods import MethodPolicy, by_level

NO_METHODS: Mapping[str, MethodPolicy] = {}


@dataclass(frozen=True, slots=True)
class Policy:
    """How a service is called.

    Attributes:
        methods: what each may cost and repeat, by its name.
        attempts: at the most, of a method that is not named there.
        probe_interval: seconds between health probes of an endpoint, each of which may take as long.
        deadline: what is handed on of a caller's time.
        retry: how a failed call is made again,
        budget: and how often, over all calls.
        hedge: when a read is asked of a second endpoint, too.
        attempt: how long one attempt is waited for.
        cache: for how long the answers of those methods are kept whose policy says that they are.
        balance: which endpoint takes an attempt.
        ejection: which endpoint does worse than the others.
        circuit: the breaker of each endpoint.
        admission: how much a process of the service takes on at one time. It reads that itself.
    """

    methods: Mapping[str, MethodPolicy] = field(default_factory=lambda: NO_METHODS)
    attempts: int = 3
    probe_interval: float = 1.0
    deadline: DeadlinePolicy = field(default_factory=DeadlinePolicy)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    budget: BudgetPolicy = field(default_factory=BudgetPolicy)
    hedge: HedgePolicy = field(default_factory=HedgePolicy)
    attempt: AttemptPolicy = field(default_factory=AttemptPolicy)
    cache: CachePolicy = field(default_factory=CachePolicy)
    balance: BalancePolicy = field(default_factory=BalancePolicy)
    ejection: EjectionPolicy = field(default_factory=EjectionPolicy)
    circuit: CircuitPolicy = field(default_factory=CircuitPolicy)
    admission: AdmissionPolicy = field(default_factory=AdmissionPolicy)

    def of(self, method: Method) -> MethodPolicy:
        """One method's."""
        return self.methods.get(method.name) or by_level(method.level, self.attempts)
