"""Transactions one after the other on an engine's connections, each whole or not at all, whatever happens to callers.

A driver must never see a cancellation: SQLAlchemy would throw the connection away with its transaction open,
and drivers of other databases have handed one request's answer to another. So each transaction runs in a task of
its own. A caller that goes away leaves a mark, and a transaction so marked rolls back instead of committing. Its
turn ends when it does, so the next one begins after the rollback.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncTransaction

from storage.errors import OutcomeUnknown, Unavailable
from storage.failures import BUSY, DOWN, is_busy, meaning, unavailable

PATIENCE = 5.0  # seconds, for a caller that names none
TO_ANSWER = 0.05  # seconds of the caller's time that are kept back to tell it of a failure
PAUSE = 0.002  # seconds at most between two tries for a lock that another process holds

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]


class Request:
    """A caller's wish: when it ends, and whether anybody still waits for it."""

    def __init__(self, patience: float | None) -> None:
        self._ends = time.monotonic() + (PATIENCE if patience is None else patience) - TO_ANSWER
        self.abandoned = False

    def left(self) -> float:
        """Seconds."""
        return self._ends - time.monotonic()

    def check(self) -> None:
        """Raises Unavailable when there is no sense in going on."""
        if self.abandoned or self.left() <= 0:
            raise unavailable(BUSY)


class Lane:
    """An engine and as many turns as it has connections. First come, first served."""

    def __init__(self, engine: AsyncEngine, turns: int) -> None:
        self.engine = engine
        self._turns = asyncio.Semaphore(turns)
        self._running: set[asyncio.Task[object]] = set()

    async def run(self, work: Work[T], patience: float | None = None) -> T:
        """Runs `work` in a transaction of its own and commits.

        Args:
            work: gets the connection; whatever it raises rolls back.
            patience: seconds the caller grants; None for PATIENCE.

        Raises:
            Unavailable: nothing was changed: the time ran out before COMMIT, or the database is busy, full or away.
            OutcomeUnknown: COMMIT failed without a clear answer.
        """
        request = Request(patience)
        await self._turn(request)
        task = asyncio.create_task(self._transaction(work, request))
        self._running.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            request.abandoned = True
            raise

    async def close(self, grace: float) -> None:
        """Waits for what still runs, at most `grace` seconds, and closes every connection."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self.engine.dispose()

    async def _turn(self, request: Request) -> None:
        request.check()
        try:
            async with asyncio.timeout(request.left()):
                await self._turns.acquire()
        except TimeoutError:
            raise unavailable(BUSY) from None

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        self._turns.release()
        if not task.cancelled():
            task.exception()  # an abandoned failure has no one to tell

    async def _transaction(self, work: Work[T], request: Request) -> T:
        with _told():
            async with self.engine.connect() as connection:
                transaction = await _begin(connection, request)
                try:
                    result = await work(connection)
                    request.check()
                except BaseException:
                    await transaction.rollback()
                    raise
                await _commit(transaction)
                return result


async def _begin(connection: AsyncConnection, request: Request) -> AsyncTransaction:
    while True:
        request.check()
        try:
            return await connection.begin()
        except DBAPIError as error:
            if not is_busy(error):
                raise
        await asyncio.sleep(random.uniform(0, PAUSE))  # noqa: S311  # spreads rivals, hides nothing


async def _commit(transaction: AsyncTransaction) -> None:
    try:
        await transaction.commit()
    except DBAPIError as error:
        told = meaning(error)
        if isinstance(told, Unavailable) and told.code != DOWN:
            raise  # refused as a whole; the connection rolls back on its way into the pool
        raise OutcomeUnknown("the database did not say whether it kept the write") from error


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        told = meaning(error)
        if told is None:
            raise
        raise told from error
