"""The call that the present task is handling."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from mesh.clock import Clock


@dataclass(frozen=True, slots=True)
class ServerCall:
    """What came with a request beside its message.

    Attributes:
        method: its path.
        headers: the request's metadata.
        deadline: the moment of `clock` by which the caller wants the answer; None for whenever.
        trailers: what is put here travels back as trailing metadata.
    """

    method: str
    headers: Mapping[str, str]
    deadline: float | None
    clock: Clock
    trailers: dict[str, str] = field(default_factory=dict)

    def remaining(self) -> float | None:
        """Seconds left, 0 at the least; None where the caller set no deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - self.clock.now())


_current: ContextVar[ServerCall] = ContextVar("mesh.server.current")


def current() -> ServerCall:
    """The call being handled.

    Raises:
        LookupError: no call is being handled by this task.
    """
    return _current.get()


def handling(call: ServerCall) -> None:
    """From here on, the present task handles this call."""
    _current.set(call)
