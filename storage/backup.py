"""Copies of a service's database: taken while it serves, put back while it does not.

A copy is of one moment: it is read in one transaction. Putting one back is one transaction too: all of it or nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.address import MysqlPlace, place_of
from storage.columns import Moment
from storage.copies import Label, checked, tables, writing
from storage.engine import reading_engine, writing_engine
from storage.errors import CopyRefused
from storage.lane import Lane
from storage.migrations import LONGEST, PATIENCE, migrate
from storage.occupied import alone, hold, nobody_else, stopped
from storage.shape import utc_now

BATCH = 500  # rows read or written at once


def backup(address: str, metadata: MetaData, scripts: Path, path: Path, service: str, program: str) -> int:
    """Writes a copy of a database, which may be serving. Returns the number of rows.

    Args:
        address: the database's.
        metadata: all of its tables.
        scripts: the folder of its migrations.
        path: the new file.
        service: whose it is.
        program: the version of this program.

    Raises:
        CopyRefused: the text says why and what to do.
        Unavailable: the database cannot be read.
        OSError: the file cannot be written.
    """
    label = Label(service, _newest(scripts), program, utc_now().isoformat())

    async def work(connection: AsyncConnection) -> int:
        await _refuse_other_schema(connection, label.schema)
        with writing(path, label) as writer:
            for table in metadata.sorted_tables:
                await writer.table(table.name, table.columns.keys(), _rows(connection, table))
            return writer.rows

    return asyncio.run(_alone_in(Lane(reading_engine(address, 1), turns=1), work))


def restore(address: str, metadata: MetaData, scripts: Path, path: Path, service: str) -> int:
    """Replaces all that a stopped service's database holds by a copy. Returns the number of rows.

    Raises:
        CopyRefused: the copy is damaged, another service's or of another schema, or the service is running.
        MigrationFailed: the schema could not be made.
        Unavailable: the database cannot be written.
        OSError: the file cannot be read.
    """
    label = checked(path)
    if label.service != service:
        raise CopyRefused(f"{path} is a copy of {label.service}, not of {service}")
    if label.schema != (newest := _newest(scripts)):
        raise CopyRefused(
            f"{path} is of schema {label.schema} and this program's is {newest}: "
            f"put it back with version {label.program}, then start this one, which brings it up to date"
        )
    migrate(address, scripts)
    place = place_of(address)

    async def work(connection: AsyncConnection) -> int:
        if isinstance(place, MysqlPlace):
            await hold(connection, place, PATIENCE)
            await nobody_else(connection)
        for table in metadata.sorted_tables:
            await connection.execute(delete(table))
        filled = tables(path)
        return sum([await _fill(connection, metadata.tables[name], columns, rows) for name, columns, rows in filled])

    with alone(place, PATIENCE), stopped(place):
        return asyncio.run(_alone_in(Lane(writing_engine(address, 1), turns=1), work))


async def _alone_in(lane: Lane, work: Any) -> int:
    try:
        rows: int = await lane.run(work, LONGEST)
        return rows
    finally:
        await lane.close(grace=1.0)


async def _rows(connection: AsyncConnection, table: Table) -> AsyncIterator[Sequence[object]]:
    async with connection.stream(select(table).execution_options(yield_per=BATCH)) as rows:
        async for row in rows:
            yield row


async def _fill(connection: AsyncConnection, table: Table, columns: list[str], rows: Iterator[list[Any]]) -> int:
    moments = {name for name in columns if isinstance(table.c[name].type, Moment)}
    total = 0
    while batch := list(islice(rows, BATCH)):
        await connection.execute(insert(table), [_typed(columns, moments, row) for row in batch])
        total += len(batch)
    return total


def _typed(columns: list[str], moments: set[str], row: list[Any]) -> dict[str, Any]:
    values = dict(zip(columns, row, strict=True))
    return values | {name: datetime.fromisoformat(values[name]) for name in moments if values[name] is not None}


async def _refuse_other_schema(connection: AsyncConnection, newest: str) -> None:
    stored = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
    if stored != newest:
        raise CopyRefused(f"the database is of schema {stored} and this program's is {newest}: start the service once")


def _newest(scripts: Path) -> str:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return str(ScriptDirectory.from_config(config).get_current_head())
