"""The turned clock by its old name."""

from mesh.testing import TurnedClock, settle

__all__ = ["TurnedClock", "settle"]
