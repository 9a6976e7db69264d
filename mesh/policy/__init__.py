"""What a service's calls may cost and repeat, and how its endpoints are judged."""

from mesh.policy.endpoints import BalancePolicy, CircuitPolicy, EjectionPolicy
from mesh.policy.mode import Mode
from mesh.policy.service import Policy

__all__ = ["BalancePolicy", "CircuitPolicy", "EjectionPolicy", "Mode", "Policy"]
