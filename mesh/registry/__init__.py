"""Who serves what, where: leases that end unless they are renewed."""

from mesh.registry.client import Registration, watch
from mesh.registry.service import RegistryService

__all__ = ["Registration", "RegistryService", "watch"]
