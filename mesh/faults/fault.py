"""What befalls an attempt on purpose: how late it is, and how it ends."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from mesh.errors import Lost, MeshError, Refused, RemoteError, Unreachable
from mesh.status import Status

TOLD = "a fault was injected here"
LOST, UNREACHABLE, REFUSED = "lost", "unreachable", "refused"
ERRORS = (LOST, UNREACHABLE, REFUSED, *(status.name.lower() for status in Status if status is not Status.OK))


@dataclass(frozen=True, slots=True)
class Fault:
    """Befalls a share of the attempts.

    Attributes:
        share: of the attempts, 0 to 1.
        latency: seconds before the attempt leaves,
        jitter: and up to so many more, by chance.
        error: how it ends: "lost" (carried out, its answer lost), "unreachable", "refused", or the name of a gRPC
            status such as "unavailable"; "" for as it would have.
        methods: the names of those it befalls, such as "GetPatientRecord"; all when empty.
        endpoints: the addresses that it befalls; all when empty.

    Raises:
        ValueError: naming the attribute that is not as it must be.
    """

    share: float = 1.0
    latency: float = 0.0
    jitter: float = 0.0
    error: str = ""
    methods: frozenset[str] = frozenset()
    endpoints: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share: {self.share} is not a share; give a number from 0 to 1")
        if not (0 <= self.latency < float("inf") and 0 <= self.jitter < float("inf")):
            raise ValueError("latency, jitter: give seconds, 0 or more")
        if self.error and self.error not in ERRORS:
            raise ValueError(f"error: {self.error!r} is none; choose from {', '.join(ERRORS)}")

    def befalls(self, method: str, endpoint: str) -> bool:
        return (not self.methods or method in self.methods) and (not self.endpoints or endpoint in self.endpoints)


class Drawn(NamedTuple):
    """What befalls one attempt: seconds of delay, and how it ends, "" for as it would have."""

    delay: float = 0.0
    error: str = ""


NOTHING = Drawn()


class Faults:
    """The faults of a process. They can be changed at any time, and hold from the next attempt on.

    Args:
        rng: one with a seed repeats what befalls whom.
    """

    def __init__(self, faults: Iterable[Fault] = (), *, rng: Random) -> None:
        self._faults, self._rng = tuple(faults), rng

    @property
    def now(self) -> tuple[Fault, ...]:
        """Those that hold at present."""
        return self._faults

    def set(self, *faults: Fault) -> None:
        """From here on these hold and no others; none, when none is given."""
        self._faults = faults

    def draw(self, method: str, endpoint: str) -> Drawn:
        """What befalls one attempt: each fault by its own chance. Delays add up, the first error counts."""
        if not self._faults:
            return NOTHING
        delay, error = 0.0, ""
        for fault in self._faults:
            if fault.befalls(method, endpoint) and self._rng.random() < fault.share:
                delay += fault.latency + (self._rng.uniform(0.0, fault.jitter) if fault.jitter else 0.0)
                error = error or fault.error
        return Drawn(delay, error)


def raised(error: str) -> MeshError:
    """An error of `ERRORS` as a call ends in it."""
    if error == LOST:
        return Lost(TOLD, reason="link_broke")
    if error in {UNREACHABLE, REFUSED}:
        return {UNREACHABLE: Unreachable, REFUSED: Refused}[error](TOLD)
    return RemoteError(Status[error.upper()], TOLD)
