"""Clocks for tests: one that is turned by hand, and one that goes by the loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import copy_context

from mesh.clock import Timer


class TurnedClock:
    """Stands still until it is turned; then everything due happens in order, each in its own turn of the loop."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._now + seconds, lambda: None if woken.done() else woken.set_result(None))
        self._due.append(entry)
        try:
            await woken
        finally:
            self._forget(entry)

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return self._timeout(seconds)

    @asynccontextmanager
    async def _timeout(self, seconds: float) -> AsyncIterator[object]:
        async with asyncio.timeout(None) as timeout:
            entry = (self._now + seconds, lambda: timeout.reschedule(asyncio.get_running_loop().time()))
            self._due.append(entry)
            try:
                yield timeout
            finally:
                self._forget(entry)

    def call_later(self, seconds: float, do: Callable[[], None]) -> Timer:
        context = copy_context()  # as the loop does
        entry = (self._now + seconds, lambda: context.run(do))
        self._due.append(entry)
        return _Due(lambda: self._forget(entry))

    async def turn(self, seconds: float) -> None:
        """Lets so many seconds pass."""
        end = self._now + seconds
        await settle()
        while due := [entry for entry in self._due if entry[0] <= end]:
            first = min(due, key=lambda entry: entry[0])
            self._due.remove(first)
            self._now = max(self._now, first[0])
            first[1]()
            await settle()
        self._now = end
        await settle()

    def _forget(self, entry: tuple[float, Callable[[], None]]) -> None:
        if entry in self._due:
            self._due.remove(entry)


class _Due:
    def __init__(self, forget: Callable[[], None]) -> None:
        self.cancel = forget


async def settle() -> None:
    """Lets every task that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


class LoopClock:
    """The time of the loop itself: for `in_pure_time`."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)

    def call_later(self, seconds: float, do: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, do)
