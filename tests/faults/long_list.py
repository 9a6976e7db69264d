"""A patient's very long list of records, and others who change it meanwhile."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import date, timedelta
from itertools import pairwise
from random import Random
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database
from storage.documents import Documents
from storage.errors import Deleted
from storage.pages import Position
from storage.shape import utc_now
from tests.databases import RECORDS, migrated
from tests.faults.report import Scenario

ROWS = 100_000
PATIENT = 7
TEXT = "Follow-up for essential hypertension, blood pressure 148/92 sitting, repeated 144/90. " * 2
FIRST_DAY, DAYS = date(1996, 1, 1), 30 * 365
BATCH = 2_000  # rows put in at once
OTHERS = 3  # who add, change and delete
KINDS = ("added", "deleted", "moved", "corrected")


@asynccontextmanager
async def filled(scenario: Scenario, address: str) -> AsyncIterator[Database]:
    """A database with the rows and their first versions, put straight into its tables."""
    shape, rng, now = RECORDS.shape, scenario.rng("rows"), utc_now()
    made = {"version": 1, "created_at": now, "updated_at": now, "updated_by": "local"}
    await migrated(address, RECORDS)
    async with Database(address) as database:

        async def put(connection: AsyncConnection, first: int, last: int) -> None:
            numbers = range(first, last)
            rows = [{"record_id": number, **shape.columns(_content(rng)), **made} for number in numbers]
            await connection.execute(insert(shape.table), rows)
            await connection.execute(insert(shape.versions), rows)

        ends = [*range(1, scenario.size(ROWS), BATCH), scenario.size(ROWS) + 1]
        for first, last in pairwise(ends):
            await database.write(lambda connection: put(connection, first, last), 60)  # noqa: B023  # awaited here
        yield database


def _content(rng: Random) -> Any:
    return RECORDS.content(PATIENT, day=(FIRST_DAY + timedelta(rng.randrange(DAYS))).isoformat(), words=TEXT)


class Others:
    """Add, delete, move to another day and correct, while somebody walks."""

    def __init__(self, database: Database, keys: Sequence[int]) -> None:
        self._documents, self._keys = Documents(database, RECORDS.shape), keys
        self._elsewhere, self.done = set[int](), Counter[str]()

    async def run(self, rng: Random) -> None:
        """Until cancelled."""
        while True:
            with suppress(Deleted):  # by another one of them
                await self.change(rng.choice(("added", *KINDS)), rng.choice(self._keys), rng)  # more come than go

    async def change(self, kind: str, key: int, rng: Random) -> None:
        """One change of a kind, to the row `key` unless one is added."""
        documents = self._documents
        if kind in {"deleted", "moved"}:
            self._elsewhere.add(key)
        if kind == "added":
            await documents.add(_content(rng), "other")
        elif kind == "deleted":
            await documents.delete(key, PATIENT, "other")
        else:
            content = _content(rng)
            await documents.replace(key, lambda stored: content if kind == "moved" else stored, "other")
        self.done[kind] += 1

    def wrong(self, walked: Sequence[Position]) -> list[str]:
        """What a walk got wrong: of a row that was moved it may show both places, or none."""
        times = Counter(position.key for position in walked)
        missed = [key for key in self._keys if key not in times and key not in self._elsewhere]
        twice = [key for key, number in times.items() if number > 1 and key not in self._elsewhere]
        found = [f"{len(missed)} rows are missed, such as {missed[0]}"] if missed else []
        found += [f"{len(twice)} rows are shown twice, such as {twice[0]}"] if twice else []
        if any(after >= before for before, after in pairwise(walked)):
            found.append("the rows are out of order")
        return found


@asynccontextmanager
async def others_changing(scenario: Scenario, database: Database) -> AsyncIterator[Others]:
    table = RECORDS.shape.table
    query = select(table.c.record_id).where(table.c.deleted_at.is_(None))

    async def all_keys(connection: AsyncConnection) -> Sequence[int]:
        return (await connection.execute(query)).scalars().all()

    others = Others(database, await database.read(all_keys, 60))
    tasks = [asyncio.create_task(others.run(scenario.rng(f"other {number}"))) for number in range(OTHERS)]
    try:
        yield others
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if not isinstance(error, asyncio.CancelledError):
            raise error  # type: ignore[misc]  # they end in no other way
