"""A call as a server's method sees it, without a stream of its own."""

from collections.abc import Mapping
from typing import Any

from mesh.clock import Clock


class Exchange:
    """One request, and what it is answered with.

    Args:
        deadline: the moment of the clock until which the caller waits.

    Attributes:
        waited: seconds until it was let in.
        answer: the reply; None while there is none.
        trailing_metadata: what goes with the answer.
        pushback: milliseconds, as text, or None.
    """

    def __init__(self, message: Any, metadata: Mapping[str, Any], deadline: float, clock: Clock) -> None:
        self._message, self._deadline, self._clock = message, deadline, clock
        self.metadata = metadata
        self.deadline = self if deadline < float("inf") else None
        self.answer: Any = None
        self.waited = 0.0
        self.trailing_metadata: Mapping[str, Any] | None = None
        self.pushback: str | None = None

    def time_remaining(self) -> float:
        return max(0.0, self._deadline - self._clock.now())

    async def recv_message(self) -> Any:
        return self._message

    async def send_message(self, message: Any) -> None:
        self.answer = message

    async def send_trailing_metadata(self, *, metadata: Mapping[str, Any] | None = None, **_: Any) -> None:
        self.trailing_metadata = metadata

    def push_back(self, seconds: float) -> None:
        self.pushback = str(round(seconds * 1000))
