"""Keys are kept for their time and then forgotten, whatever the database does meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hosting.sweep import sweeping
from storage.database import Database
from storage.documents import Documents
from storage.failures import BUSY, unavailable
from storage.keys import Once, digest
from tests.databases import RECORDS, migrated
from tests.fakes.waiting import until

KEPT = timedelta(hours=24)
KEYS = RECORDS.shape.keys


class Faulty(Database):
    """A database that refuses its first writes after it was told to."""

    refusals = 0

    async def write(self, work: Any, patience: float | None = None) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise unavailable(BUSY)
        return await super().write(work, patience)


async def test_keys_are_swept_at_the_end_of_their_time_even_after_failures(address: str) -> None:
    """A disk that fills up in months is found by nobody's test but this one."""
    await migrated(address, RECORDS)
    made, counted = datetime(2026, 11, 24, tzinfo=UTC), list[int]()
    clock = [made + KEPT]

    async def count(connection: AsyncConnection) -> int:
        return int((await connection.execute(select(func.count()).select_from(KEYS))).scalar_one())

    async with Faulty(address) as database:
        documents = Documents(database, RECORDS.shape, now=lambda: made)
        await documents.add(RECORDS.content(), "a", once=Once("local", "k1", digest(b""), lambda _: b""))
        async with sweeping(database, KEYS, KEPT, every=0.01, now=lambda: counted.append(1) or clock[0]):  # type: ignore[func-returns-value]
            await until(lambda: len(counted) > 2)
            assert await database.read(count) == 1
            clock[0] += timedelta(microseconds=1)
            database.refusals = 2
            looked = len(counted)
            await until(lambda: len(counted) > looked + 4)
            assert await database.read(count) == 0
