"""What a service's calls may cost and repeat, and how its endpoints are judged."""

from mesh.policy.endpoints import CircuitPolicy
from mesh.policy.service import Policy

__all__ = ["CircuitPolicy", "Policy"]
