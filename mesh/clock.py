"""Time as a parameter: nothing else in `mesh` reads a clock or sleeps."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Timer(Protocol):
    """Something that is due later."""

    def cancel(self) -> None:
        """It is not done, unless it has been."""
        ...


class Clock(Protocol):
    """Seconds that only go forward."""

    def now(self) -> float:
        """Seconds from some fixed moment."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns once so many seconds have passed."""
        ...

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Raises TimeoutError out of its block once so many seconds have passed."""
        ...

    def call_later(self, seconds: float, do: Callable[[], None]) -> Timer:
        """Does something once so many seconds have passed; it costs less than a task that sleeps."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)

    def call_later(self, seconds: float, do: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, do)
