"""Idempotency keys are kept for a while and then swept: whoever repeats a request does so within hours."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from sqlalchemy import Table

from storage.database import Database
from storage.errors import StorageError
from storage.keys import sweep_all
from storage.shape import utc_now

EVERY = 600.0  # seconds

log = logging.getLogger(__name__)


@asynccontextmanager
async def sweeping(
    database: Database,
    keys: Table,
    kept: timedelta,
    *,
    every: float = EVERY,
    now: Callable[[], datetime] = utc_now,
) -> AsyncIterator[None]:
    """Forgets keys older than `kept` while the block lasts, every so many seconds, replicas at different moments."""
    task = asyncio.create_task(_sweep(database, keys, kept, every, now))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep(database: Database, keys: Table, kept: timedelta, every: float, now: Callable[[], datetime]) -> None:
    while True:
        await asyncio.sleep(random.uniform(0.5, 1.0) * every)  # noqa: S311  # spreads replicas, hides nothing
        try:
            await sweep_all(database, keys, now(), kept)
        except StorageError as error:
            log.warning("idempotency keys could not be swept (%s); the next try follows", type(error).__name__)
