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
from contextlib import contextmanager, suppress
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncTransaction

from storage.errors import OutcomeUnknown, StorageError
from storage.failures import BUSY, DOWN, is_busy, meaning, refused_whole, unavailable

PATIENCE = 5.0  # seconds, for a caller that names none
TO_ANSWER = 0.05  # seconds of the caller's time that are kept back to tell it of a failure
PAUSE = 0.002  # seconds at most between two tries for a lock that another process holds

NO_ANSWER = "the database did not say whether it kept the write"

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]


class Request:
    """A caller's wish: when it ends, and whether anybody still waits for it."""

    def __init__(self, patience: float | None) -> None:
        self._ends = time.monotonic() + (PATIENCE if patience is None else patience) - TO_ANSWER
        self.abandoned = False
        self.committing = False

    def left(self) -> float:
        """Seconds."""
        return self._ends - time.monotonic()

    def late(self) -> StorageError:
        """What a caller is told whose time is over before its transaction is."""
        if self.committing:
            return OutcomeUnknown(NO_ANSWER)
        self.abandoned = True
        return unavailable(BUSY)

    def check(self) -> None:
        """Raises Unavailable when there is no sense in going on."""
        if self.abandoned or self.left() <= 0:
            raise unavailable(BUSY)


class Lane:
    """An engine and as many turns as it has connections. First come, first served.

    Args:
        engine: what it runs on.
        turns: how many transactions may run at once.
        hung_after: seconds after which a transaction is given up with its connection; None for never.
    """

    def __init__(self, engine: AsyncEngine, turns: int, *, hung_after: float | None = None) -> None:
        self.engine = engine
        self._hung_after = hung_after
        self._turns = asyncio.Semaphore(turns)
        self._running: set[asyncio.Task[object]] = set()

    async def run(self, work: Work[T], patience: float | None = None) -> T:
        """Runs `work` in a transaction of its own and commits.

        Args:
            work: gets the connection; whatever it raises rolls back.
            patience: seconds the caller grants; None for PATIENCE.

        Raises:
            Unavailable: nothing was changed: the time ran out before COMMIT, or the database is busy, full or away.
            Unfit: nothing was changed: a new connection found that the server's settings do not suffice.
            OutcomeUnknown: COMMIT failed without a clear answer, or had none when the time ran out.
        """
        request = Request(patience)
        await self._turn(request)
        task = asyncio.create_task(self._transaction(work, request))
        self._running.add(task)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait({task}, timeout=max(0.0, request.left()))
        except asyncio.CancelledError:
            request.abandoned = True
            raise
        if task.done():
            return task.result()
        raise request.late()

    async def close(self, grace: float) -> None:
        """Waits for what still runs, at most `grace` seconds, and closes every connection."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        with suppress(TimeoutError):  # a server that says nothing keeps nobody from ending
            async with asyncio.timeout(max(grace, 1.0)):
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
        try:
            with _told():
                async with asyncio.timeout(self._hung_after), self.engine.connect() as connection:
                    return await self._whole(work, connection, request)
        except TimeoutError:  # its connection has been thrown away with it
            raise OutcomeUnknown(NO_ANSWER) if request.committing else unavailable(DOWN) from None

    async def _whole(self, work: Work[T], connection: AsyncConnection, request: Request) -> T:
        transaction = await _begin(connection, request)
        try:
            result = await work(connection)
            request.check()
        except BaseException:
            async with asyncio.timeout(self._hung_after):
                await transaction.rollback()
            raise
        request.committing = True
        await _commit(transaction)
        return result


async def _begin(connection: AsyncConnection, request: Request) -> AsyncTransaction:
    stale = False
    while True:
        request.check()
        try:
            return await connection.begin()
        except DBAPIError as error:
            if error.connection_invalidated and not stale:
                stale = True  # it lay in the pool while the server ended it; the next try has a new one
                continue
            if not is_busy(error):
                raise
        await asyncio.sleep(random.uniform(0, PAUSE))  # noqa: S311  # spreads rivals, hides nothing


async def _commit(transaction: AsyncTransaction) -> None:
    try:
        await transaction.commit()
    except DBAPIError as error:
        if refused_whole(error):
            raise  # the connection rolls back on its way into the pool
        raise OutcomeUnknown(NO_ANSWER) from error


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        told = meaning(error)
        if told is None:
            raise
        raise told from error
    except StatementError as error:  # as SQLAlchemy wraps all that it meets while it replaces a lost connection
        if isinstance(error.orig, StorageError):
            raise error.orig from error
        raise
