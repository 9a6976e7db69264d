"""Waiting for a condition instead of sleeping: fast when it holds, bounded when it does not."""

import asyncio
import time
from collections.abc import Callable


async def until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Returns once `holds()` is true.

    Raises:
        TimeoutError: it is not within so many seconds.
    """
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # whatever it is about need not know that somebody waits
            await asyncio.sleep(0.005)


def wait_until(holds: Callable[[], object], seconds: float = 30) -> None:
    """The same where no loop runs."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)
