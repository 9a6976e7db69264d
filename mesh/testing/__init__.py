"""For tests of whoever uses the mesh: time that is turned by hand or jumps, seeded faults, a service in memory."""

from mesh.faults.fault import Fault, Faults
from mesh.testing.amplification import Amplification, assert_amplification
from mesh.testing.clock import LoopClock, TurnedClock, settle
from mesh.testing.memory import InMemory, Replica
from mesh.testing.pure_time import in_pure_time

__all__ = [
    "Amplification",
    "Fault",
    "Faults",
    "InMemory",
    "LoopClock",
    "Replica",
    "TurnedClock",
    "assert_amplification",
    "in_pure_time",
    "settle",
]
