"""Migrations with Alembic: once, whichever replica starts first.

All of it in one transaction where the dialect allows that (SQLite does): a migration that fails changes nothing.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from storage.engine import sqlite_file, writing_engine
from storage.errors import MigrationFailed, StorageError, Unavailable
from storage.lane import Lane

PATIENCE = 60.0  # seconds to wait for another replica's migration, and for the database
LOOK_AGAIN = 0.05  # seconds


def migrate(address: str, scripts: Path, patience: float = PATIENCE) -> None:
    """Brings the schema up to date, unless another process does or has done so.

    Args:
        address: `sqlite:///path/to/file.db`; the file is made where there is none.
        scripts: the folder with `env.py` and `versions/`.
        patience: seconds.

    Raises:
        MigrationFailed: the text says why; the database is as it was.
    """
    try:
        file = sqlite_file(address)
        _make_private(file)
        with _alone(file.with_name(f"{file.name}.migrating"), patience):
            asyncio.run(_upgrade(address, scripts, patience))
    except (StorageError, CommandError, DBAPIError, OSError) as error:
        raise MigrationFailed(f"the schema could not be brought up to date: {_reason(error)}") from error


def run_migrations() -> None:
    """What each `env.py` calls: runs the scripts on the connection that `migrate` opened."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()


async def _upgrade(address: str, scripts: Path, patience: float) -> None:
    lane = Lane(writing_engine(address), turns=1)
    try:
        await lane.run(lambda connection: connection.run_sync(_run, scripts), patience)
    finally:
        await lane.close(grace=1.0)


def _run(connection: Connection, scripts: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _make_private(file: Path) -> None:
    # Patients' data: for this user only. SQLite gives its side files the same mode.
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


@contextmanager
def _alone(lock: Path, patience: float) -> Iterator[None]:
    ends = time.monotonic() + patience
    with lock.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > ends:
                    raise MigrationFailed("another process has been migrating for too long; see what it does") from None
            time.sleep(LOOK_AGAIN)
        yield


def _reason(error: BaseException) -> str:
    if isinstance(error, CommandError) and "locate revision" in str(error):
        return "the database was written by a newer version of this program; start that one, or restore a copy"
    if isinstance(error, IntegrityError):  # some databases quote the value
        return "a stored value breaks a rule of the new schema"
    if isinstance(error, DBAPIError):
        return f"{error.orig}"
    if isinstance(error, Unavailable) and error.__cause__:
        return f"{error} ({_reason(error.__cause__)})"
    return str(error)
