"""One making of what several ask for at the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")


class Tasks:
    """Owns tasks that outlive whoever began them; they end when its block is left."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            task.cancel()
        while self._running:
            await asyncio.wait(self._running)

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begins it. What it raises is for those who await it, and nobody need do so."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not log it


class Flights(Generic[T]):
    """Makings under way, by what they make."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._under_way: dict[Hashable, asyncio.Task[T]] = {}

    def join(
        self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]], *, anew: bool = False
    ) -> "tuple[asyncio.Task[T], bool]":
        """The making under way, and that it was; or one that begins now, as it always does `anew`."""
        flight = self._under_way.get(key)
        if flight is not None and not flight.done() and not anew:
            return flight, True
        flight = self._under_way[key] = self._tasks.start(make())
        flight.add_done_callback(lambda over: self._landed(key, over))
        return flight, False

    def _landed(self, key: Hashable, flight: "asyncio.Task[T]") -> None:
        if self._under_way.get(key) is flight:
            del self._under_way[key]
