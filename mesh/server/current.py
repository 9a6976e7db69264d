"""The call that the present task is handling."""

import re
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from mesh.call import ATTEMPTS_LEFT, PRIORITY
from mesh.clock import Clock
from mesh.policy.methods import PRIORITIES, Priority

T = TypeVar("T")
_COUNT = re.compile(r"[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ServerCall:
    """What came with a request beside its message.

    Attributes:
        method: its path.
        headers: the request's metadata.
        deadline: the moment of `clock` by which the caller wants the answer; None for whenever.
        trailers: what is put here travels back as trailing metadata.
        spent: seconds that its method waited for something, by a word of mesh.timing.OF_A_SERVICE.
    """

    method: str
    headers: Mapping[str, str]
    deadline: float | None
    clock: Clock
    trailers: dict[str, str] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)

    @property
    def attempts_left(self) -> int:
        """How often its caller would make it again, were it to fail; 0 where it did not say."""
        told = self.headers.get(ATTEMPTS_LEFT, "0")
        return int(told) if _COUNT.fullmatch(told) else 0

    @property
    def priority(self) -> Priority:
        """Who it goes before, and who goes before it; a word that is not known is as none."""
        told = self.headers.get(PRIORITY)
        return told if told in PRIORITIES else "normal"

    def remaining(self) -> float | None:
        """Seconds left, 0 at the least; None where the caller set no deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - self.clock.now())


_current: ContextVar[ServerCall | None] = ContextVar("mesh.server.current", default=None)


def current() -> ServerCall:
    """The call being handled.

    Raises:
        LookupError: no call is being handled by this task.
    """
    call = _current.get()
    if call is None:
        raise LookupError("no call is being handled here; ask within a service's method")
    return call


def handled() -> ServerCall | None:
    """The call being handled, if there is one."""
    return _current.get()


def handling(call: ServerCall) -> None:
    """From here on, the present task handles this call."""
    _current.set(call)


async def spending(part: str, work: Awaitable[T]) -> T:
    """Waits for the work, and counts that time as a part of the call being handled, which its caller is told of.

    Not for several at the same time: each would count.
    """
    call = current()
    begun = call.clock.now()
    try:
        return await work
    finally:
        call.spent[part] = call.spent.get(part, 0.0) + call.clock.now() - begun


@contextmanager
def detached() -> Iterator[None]:
    """What is begun within the block belongs to no call: it may outlive the one being handled.

    Calls made there, and in tasks made there, take over neither its deadline nor its attempts.
    """
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)
