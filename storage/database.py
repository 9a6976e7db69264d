"""One service's database: writes in one lane, reads in another, everything closed at the end."""

import asyncio
import random
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.address import SqlitePlace, place_of
from storage.engine import reading_engine, unfit, writing_engine
from storage.errors import CopyRefused, Unavailable, Unfit
from storage.failures import DOWN, collided, unavailable
from storage.lane import PATIENCE, Lane, T, Work
from storage.occupied import serving
from storage.seats import Seat

READERS = 4
WRITERS = 8
HUNG = 10.0  # seconds after which a transaction on another machine will not be answered any more
MOST_RIVALS = 5  # lost in a row, each to another writer's value; then it is no rival but a fault
PAUSE = 0.01  # seconds at most before a write is tried again
GRACE = 2.0  # seconds for what still runs when the database is closed


class Database:
    """Opened with `async with`; the schema must be there already.

    Args:
        address: `sqlite:///path/to/file.db` or `mysql://user:password@host:port/name`.
        readers: connections for reading.
        writers: connections for writing; SQLite has one whatever is said.
        tables: the names of those that are used, to be looked at on entering.

    Raises:
        AddressError: the address cannot be used.
        Unavailable: on entering, when the database cannot be opened.
        Unfit: on entering, and on a new connection for a write, when its settings do not suffice.
        CopyRefused: on entering, while a copy is being put back.
    """

    def __init__(
        self, address: str, *, readers: int = READERS, writers: int = WRITERS, tables: Collection[str] = ()
    ) -> None:
        self._place, self._exits, self._tables = place_of(address), ExitStack(), tables
        in_file = isinstance(self._place, SqlitePlace)
        hung = None if in_file else HUNG
        self._seat = None
        if not isinstance(self._place, SqlitePlace):
            self._seat = Seat(self._place, Lane(writing_engine(address, 1), turns=1, hung_after=hung))
        self._writes = Lane(writing_engine(address, writers), turns=1 if in_file else writers, hung_after=hung)
        self._reads = Lane(reading_engine(address, readers), turns=readers, hung_after=hung)

    @property
    def engines(self) -> Sequence[AsyncEngine]:
        """For listeners, such as tracing."""
        return (self._writes.engine, self._reads.engine)

    async def __aenter__(self) -> Self:
        try:
            await self._refuse_unfit()
            await self._reads.run(_nothing)
            self._exits.enter_context(serving(self._place))
            if self._seat:
                await self._seat.keep()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _refuse_unfit(self, patience: float | None = None) -> None:
        if problems := await self._writes.run(lambda writer: unfit(writer, self._tables), patience):
            raise Unfit(problems)

    async def close(self) -> None:
        """Lets running transactions end, at most GRACE seconds, then closes every connection."""
        await self._writes.close(GRACE)
        await self._reads.close(GRACE)
        if self._seat:
            await self._seat.close(GRACE)
        self._exits.close()

    async def write(self, work: Work[T], patience: float | None = None) -> T:
        """Runs `work` in a transaction and commits; see `Lane.run`.

        Where another writer was in the way (was first with a unique value, had locked what was wanted, or each
        waited for the other), nothing was changed, and `work` runs again, in a new transaction that sees what the
        other wrote.
        """
        ends, rivals = time.monotonic() + (PATIENCE if patience is None else patience), 0
        while True:
            try:
                return await self._writes.run(work, ends - time.monotonic())
            except IntegrityError:
                rivals += 1
                if rivals == MOST_RIVALS:
                    raise
            except Unavailable as error:
                if not collided(error):
                    raise
                await asyncio.sleep(random.uniform(0, PAUSE))  # noqa: S311  # spreads rivals, hides nothing

    async def read(self, work: Work[T], patience: float | None = None) -> T:
        """Runs `work` in a transaction that sees one moment of the database; see `Lane.run`."""
        return await self._reads.run(work, patience)

    async def check(self, patience: float = 1.0) -> None:
        """Keeps the seat on a server.

        Raises:
            Unavailable: the database cannot be read, or a copy is put back.
            Unfit: a server's settings do not suffice any more.
        """
        await self.read(_nothing, patience)
        if self._seat:
            await self._refuse_unfit(patience)
            try:
                await self._seat.keep(patience)
            except CopyRefused as error:
                raise unavailable(DOWN) from error


async def _nothing(connection: AsyncConnection) -> None:
    await connection.execute(text("SELECT 1"))
