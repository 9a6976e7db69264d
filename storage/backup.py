"""Copies of a service's database: taken while it serves, put back while it does not.

A copy is of one moment: it is read in one transaction. Putting one back is one transaction too: all of it or nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, delete, insert, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.functions import count

from storage.address import MysqlPlace, SqlitePlace, place_of
from storage.columns import Moment
from storage.copies import Copy, Label, checked, tables, writing
from storage.engine import reading_engine, writing_engine
from storage.errors import CopyRefused
from storage.lane import Lane, T, Work
from storage.migrations import LONGEST, PATIENCE, migrate
from storage.occupied import alone, hold, stopped
from storage.seats import all_seats
from storage.shape import utc_now

BATCH = 500  # rows read or written at once
OF_OLDER = "put it back with the older program that made it, then start this one, which brings it up to date"
OF_NEWER = "put it back with the newer program that made it, and go on with that one"


@dataclass(frozen=True, slots=True)
class Store:
    """A service's database.

    Attributes:
        service: whose it is: "records".
        metadata: all of its tables.
        scripts: the folder of its migrations.
        mend: changes what a copy has put there as far as it may not be true any more.
    """

    service: str
    address: str = field(repr=False)
    metadata: MetaData
    scripts: Path
    mend: Work[None] | None = None


async def backup(store: Store, path: Path, program: str) -> Copy:
    """Writes a copy of a database, which may be serving.

    Args:
        store: the database.
        path: the new file.
        program: the version of this program.

    Raises:
        CopyRefused: the text says why and what to do.
        Unavailable: the database cannot be read.
        OSError: the file cannot be written.
    """
    label = Label(store.service, _newest(store.scripts), program, utc_now().isoformat())

    async def work(connection: AsyncConnection) -> Copy:
        await _refuse_other_schema(connection, store.scripts, label.schema)
        with writing(path, label) as writer:
            for table in store.metadata.sorted_tables:
                await writer.table(table.name, table.columns.keys(), _rows(connection, table))
        return writer.copy

    return await _alone_in(Lane(reading_engine(store.address, 1), turns=1), work)


def check(store: Store, path: Path) -> Copy:
    """A copy, found whole and fit to be put back into a database.

    Raises:
        CopyRefused: it is damaged, another service's or of another schema.
        OSError: the file cannot be read.
    """
    copy = checked(path)
    if copy.label.service != store.service:
        raise CopyRefused(f"{path} is a copy of {copy.label.service}, not of {store.service}")
    if copy.label.schema != (newest := _newest(store.scripts)):
        remedy = OF_OLDER if _knows(store.scripts, copy.label.schema) else OF_NEWER
        told = f"{path} is of schema {copy.label.schema}, made by version {copy.label.program}"
        raise CopyRefused(f"{told}; this program's schema is {newest}: {remedy}")
    return copy


async def held(store: Store) -> int:
    """How many rows would be lost if a copy were put back.

    Raises:
        Unavailable: the database cannot be read.
    """
    place = place_of(store.address)
    if isinstance(place, SqlitePlace) and not place.file.exists():
        return 0

    async def work(connection: AsyncConnection) -> int:
        there = set(await connection.run_sync(lambda opened: inspect(opened).get_table_names()))
        tables = [table for table in store.metadata.sorted_tables if table.name in there]
        counts = [(await connection.execute(select(count()).select_from(table))).scalar_one() for table in tables]
        return sum(counts)

    return await _alone_in(Lane(reading_engine(store.address, 1), turns=1), work)


async def restore(store: Store, path: Path, before: Callable[[], Awaitable[object]] | None = None) -> Copy:
    """Replaces all that a stopped service's database holds by a copy.

    Args:
        store: the database.
        path: the copy.
        before: done when all is in place, before it is committed; what it raises leaves the database as it was.

    Raises:
        CopyRefused: the copy is not fit, or the service is running.
        MigrationFailed: the schema could not be made.
        Unavailable: the database cannot be written.
        OSError: the file cannot be read.
    """
    copy, place = check(store, path), place_of(store.address)

    async def work(connection: AsyncConnection) -> None:
        if isinstance(place, MysqlPlace):
            await hold(connection, place, PATIENCE)
            await all_seats(connection, place)
        for table in reversed(store.metadata.sorted_tables):
            await connection.execute(delete(table))
        for name, columns, rows in tables(path):
            await _fill(connection, store.metadata.tables[name], columns, rows)
        if store.mend:
            await store.mend(connection)
        if before:
            await before()

    with stopped(place):
        await asyncio.to_thread(migrate, store.address, store.scripts)
        with alone(place, PATIENCE):
            await _alone_in(Lane(writing_engine(store.address, 1), turns=1), work)
    return copy


async def _alone_in(lane: Lane, work: Work[T]) -> T:
    try:
        return await lane.run(work, LONGEST)
    finally:
        await lane.close(grace=1.0)


async def _rows(connection: AsyncConnection, table: Table) -> AsyncIterator[Sequence[object]]:
    async with connection.stream(select(table).execution_options(yield_per=BATCH)) as rows:
        async for row in rows:
            yield row


async def _fill(connection: AsyncConnection, table: Table, columns: list[str], rows: Iterator[list[Any]]) -> None:
    moments = {name for name in columns if isinstance(table.c[name].type, Moment)}
    while batch := list(islice(rows, BATCH)):
        await connection.execute(insert(table), [_typed(columns, moments, row) for row in batch])


def _typed(columns: list[str], moments: set[str], row: list[Any]) -> dict[str, Any]:
    values = dict(zip(columns, row, strict=True))
    return values | {name: datetime.fromisoformat(values[name]) for name in moments if values[name] is not None}


async def _refuse_other_schema(connection: AsyncConnection, scripts: Path, newest: str) -> None:
    made = await connection.run_sync(lambda opened: inspect(opened).has_table("alembic_version"))
    asked = text("SELECT version_num FROM alembic_version")
    stored = (await connection.execute(asked)).scalar_one_or_none() if made else None
    if stored == newest:
        return
    newer = stored is not None and not _knows(scripts, stored)
    remedy = "copy it with the newer program that made it" if newer else "start the service once"
    raise CopyRefused(f"the database is of schema {stored or 'none'} and this program's is {newest}: {remedy}")


def _newest(scripts: Path) -> str:
    return str(_directory(scripts).get_current_head())


def _knows(scripts: Path, schema: str) -> bool:
    return schema in {script.revision for script in _directory(scripts).walk_revisions()}


def _directory(scripts: Path) -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return ScriptDirectory.from_config(config)
