"""What a service's calls may cost and repeat, and how its endpoints are judged."""

from mesh.policy.admission import AdmissionPolicy
from mesh.policy.cache import CachePolicy
from mesh.policy.calls import AttemptPolicy, BudgetPolicy, DeadlinePolicy, HedgePolicy, RetryPolicy
from mesh.policy.endpoints import BalancePolicy, CircuitPolicy, EjectionPolicy
from mesh.policy.methods import MethodPolicy
from mesh.policy.mode import Mode
from mesh.policy.service import Policy

__all__ = [
    "AdmissionPolicy",
    "AttemptPolicy",
    "BalancePolicy",
    "BudgetPolicy",
    "CachePolicy",
    "CircuitPolicy",
    "DeadlinePolicy",
    "EjectionPolicy",
    "HedgePolicy",
    "MethodPolicy",
    "Mode",
    "Policy",
    "RetryPolicy",
]
