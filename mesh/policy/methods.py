"""What one method may cost and repeat."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from mesh.call import IDEMPOTENCY_KEY, Level

Idempotent = bool | Literal["keyed"]
"""Does it harm nobody to do it twice? "keyed": with the same idempotency key in its metadata it does not."""
Priority = Literal["always", "high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
"""The first named goes first."""


@dataclass(frozen=True, slots=True)
class MethodPolicy:
    """One method's.

    Attributes:
        safe: it changes nothing.
        idempotent: to do it twice is as good as once.
        deadline: seconds that a call of it may take at the most, all attempts together.
        attempts: at the most, the first included.
        hedge: may a second attempt start while the first is still out? For safe methods only.
        cache: may its answers be kept? For safe methods only.
        priority: who goes first where there is not room for all. "always" is for probes.
    """

    safe: bool
    idempotent: Idempotent
    deadline: float = float("inf")
    attempts: int = 3
    hedge: bool = False
    cache: bool = False
    priority: Priority = "normal"

    def repeatable(self, metadata: Mapping[str, str]) -> bool:
        """May a call with this metadata be made again although it may have been carried out?"""
        return self.idempotent is True or (self.idempotent == "keyed" and IDEMPOTENCY_KEY in metadata)


@cache
def by_level(level: Level, attempts: int) -> MethodPolicy:
    """What a method gets that no table names: by its `idempotency_level`."""
    known = level is not Level.UNKNOWN
    safe = level is Level.NO_SIDE_EFFECTS
    return MethodPolicy(safe, True if known else "keyed", attempts=attempts, priority="normal" if safe else "high")
