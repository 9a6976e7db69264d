"""Health follows the database: a service whose database is gone, or not fit any more, says so to its probes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mesh.server import Health
from storage.database import Database
from storage.errors import Unavailable, Unfit
from storage.failures import DOWN

EVERY = 1.0  # seconds

log = logging.getLogger(__name__)


@asynccontextmanager
async def watching(database: Database, health: Health, every: float = EVERY) -> AsyncIterator[None]:
    """Looks at the database every so many seconds while the block lasts."""
    task = asyncio.create_task(_watch(database, health, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(database: Database, health: Health, every: float) -> None:
    problems: tuple[str, ...] = ()
    while True:
        await asyncio.sleep(every)
        try:
            await database.check()
        except Unavailable as error:
            if error.code == DOWN:  # a busy database is slow, not gone
                health.set_serving(False)
        except Unfit as error:
            health.set_serving(False)
            if error.problems != problems:  # once, and not every second
                problems = error.problems
                log.error("the database is not fit, so this service is not ready: %s", "; ".join(problems))  # noqa: TRY400  # the problems say all
        else:
            problems = ()
            health.set_serving(True)
