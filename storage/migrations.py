"""Migrations with Alembic: once, whichever replica starts first.

On SQLite all of it is one transaction: a migration that fails changes nothing. MySQL commits each statement at once:
there a migration that fails has only added, which harms nobody, and does the rest when it is run again.
"""

import asyncio
import os
from functools import partial
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Column, MetaData, String, Table, inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.address import MysqlPlace, Place, SqlitePlace, place_of
from storage.columns import MYSQL
from storage.engine import writing_engine
from storage.errors import MigrationFailed, StorageError, Unavailable
from storage.lane import Lane, Work
from storage.occupied import alone, hold

PATIENCE = 60.0  # seconds to wait for another replica's migration
LONGEST = 24 * 3600.0  # seconds: large tables take what they take
ANOTHER = "give each service a database of its own (CAREMESH_DATABASE)"
TABLES_WAIT = 30  # seconds that MySQL lets a change of a table wait for the transactions that use it


def migrate(address: str, scripts: Path, patience: float = PATIENCE) -> None:
    """Brings the schema up to date, unless another process does or has done so.

    Args:
        address: the database's; SQLite's file is made where there is none.
        scripts: the folder with `env.py` and `versions/`.
        patience: seconds to wait for another process that migrates.

    Raises:
        MigrationFailed: the text says why; old replicas go on with the database as it is.
    """
    try:
        place = place_of(address)
        with alone(place, patience):
            if isinstance(place, SqlitePlace):
                _make_private(place.file)
            asyncio.run(_upgrade(address, partial(_migrating, place=place, scripts=scripts, patience=patience)))
    except (StorageError, CommandError, DBAPIError, OSError) as error:
        raise MigrationFailed(f"the schema could not be brought up to date: {_reason(error)}") from error


def run_migrations(own: str) -> None:
    """What each `env.py` calls: runs the scripts on the connection that `migrate` opened.

    Args:
        own: the table that the first script makes. Where a database has a schema without it, it is another service's.
    """
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection)
    with context.begin_transaction():
        if context.get_context().get_current_revision() and not inspect(connection).has_table(own):
            raise MigrationFailed(f"the database has no table {own}, and another service's schema; {ANOTHER}")
        context.run_migrations()


async def _upgrade(address: str, work: Work[None]) -> None:
    lane = Lane(writing_engine(address, 1), turns=1)
    try:
        await lane.run(work, LONGEST)
    finally:
        await lane.close(grace=1.0)


async def _migrating(connection: AsyncConnection, place: Place, scripts: Path, patience: float) -> None:
    if isinstance(place, MysqlPlace):
        await hold(connection, place, patience)
        await connection.execute(text(f"SET SESSION lock_wait_timeout = {TABLES_WAIT}"))
    await connection.run_sync(_run, scripts)


def _run(connection: Connection, scripts: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    if connection.dialect.name != "sqlite":  # Alembic would make it with the server's own default of letters
        version = Column("version_num", String(32), primary_key=True)
        Table("alembic_version", MetaData(), version, **MYSQL).create(connection, checkfirst=True)
    command.upgrade(config, "head")


def _make_private(file: Path) -> None:
    # Patients' data: for this user only. SQLite gives its side files the same mode.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def _reason(error: BaseException) -> str:
    if isinstance(error, CommandError) and "locate revision" in str(error):
        stored = str(error).rpartition(" ")[2].strip("'")
        return (
            f"the database is of schema {stored}, which this program does not know: a newer version of it made it, or "
            f"another service; start that version, or {ANOTHER}"
        )
    if isinstance(error, IntegrityError):  # some databases quote the value
        return "a stored value breaks a rule of the new schema"
    if isinstance(error, DBAPIError):
        return f"{error.orig}"
    if isinstance(error, Unavailable) and error.__cause__:
        return f"{error} ({_reason(error.__cause__)})"
    return str(error)
