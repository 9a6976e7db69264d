"""One service's database: writes in one lane, reads in another, everything closed at the end."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.engine import reading_engine, writing_engine
from storage.lane import Lane, T, Work

READERS = 4
GRACE = 2.0  # seconds for what still runs when the database is closed


class Database:
    """Opened with `async with`; the schema must be there already.

    Args:
        address: `sqlite:///path/to/file.db`.
        readers: connections for reading.

    Raises:
        AddressError: the address cannot be used.
        Unavailable: on entering, when the database cannot be opened.
    """

    def __init__(self, address: str, *, readers: int = READERS) -> None:
        self._writes = Lane(writing_engine(address), turns=1)
        self._reads = Lane(reading_engine(address, readers), turns=readers)

    @property
    def engines(self) -> Sequence[AsyncEngine]:
        """For listeners, such as tracing."""
        return (self._writes.engine, self._reads.engine)

    async def __aenter__(self) -> Self:
        try:
            await self._writes.run(_nothing)
            await self._reads.run(_nothing)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Lets running transactions end, at most GRACE seconds, then closes every connection."""
        await self._writes.close(GRACE)
        await self._reads.close(GRACE)

    async def write(self, work: Work[T], patience: float | None = None) -> T:
        """Runs `work` in a transaction and commits; see `Lane.run`.

        Where another writer was first with a unique value, `work` runs once more, in a new transaction
        that sees what the other wrote.
        """
        try:
            return await self._writes.run(work, patience)
        except IntegrityError:
            return await self._writes.run(work, patience)

    async def read(self, work: Work[T], patience: float | None = None) -> T:
        """Runs `work` in a transaction that sees one moment of the database; see `Lane.run`."""
        return await self._reads.run(work, patience)

    async def check(self, patience: float = 1.0) -> None:
        """Raises Unavailable when the database cannot be read."""
        await self.read(_nothing, patience)


async def _nothing(connection: AsyncConnection) -> None:
    await connection.execute(text("SELECT 1"))
