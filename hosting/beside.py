"""What works beside a service in the same process: it begins before the service and ends with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hosting.hosted import Beside


@asynccontextmanager
async def beside(work: Beside | None, stop: asyncio.Event) -> AsyncIterator[None]:
    """Runs `work` until `stop` is set or the block ends. If it fails before, the process ends with what it raised."""
    if not work:
        yield
        return

    async def run() -> None:
        try:
            await work(stop)
        finally:
            stop.set()

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        stop.set()
        await task
