"""Faults on purpose: a layer inside the endpoints, and a TCP proxy before a server. Both draw by a seed."""

from mesh.faults.fault import Fault, Faults
from mesh.faults.proxy import Proxy, Trouble

__all__ = ["Fault", "Faults", "Proxy", "Trouble"]
