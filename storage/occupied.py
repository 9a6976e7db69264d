"""Who has a database for themselves: one process migrates, and what replaces all that is there finds nobody.

On SQLite these are locks on files beside the database, which the system lets go with the process that holds them. On
a server a lock belongs to a connection; who serves from there has a seat (`storage/seats.py`).
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import folders
from storage.address import MysqlPlace, Place, SqlitePlace
from storage.errors import CopyRefused, MigrationFailed

LOOK_AGAIN = 0.05  # seconds
BUSY_TOO_LONG = "another process has been migrating for too long; see what it does"


@contextmanager
def alone(place: Place, patience: float) -> Iterator[None]:
    """No other process migrates a SQLite database while the block lasts; a server's lock is a connection's: `hold`.

    Raises:
        MigrationFailed: another one has been at it for longer than `patience` seconds.
    """
    ends = time.monotonic() + patience
    while isinstance(place, SqlitePlace):
        with _lock(place.file, "migrating", fcntl.LOCK_EX) as taken:
            if taken:
                yield
                return
        if time.monotonic() > ends:
            raise MigrationFailed(BUSY_TOO_LONG)
        time.sleep(LOOK_AGAIN)
    yield


async def hold(connection: AsyncConnection, place: MysqlPlace, patience: float) -> None:
    """No other process migrates a server's database while this connection lasts: who loses it cannot go on either.

    Raises:
        MigrationFailed: another one has been at it for longer than `patience` seconds.
    """
    asked = text("SELECT GET_LOCK(:name, :seconds)").bindparams(name=lock_name(place), seconds=patience)
    if (await connection.execute(asked)).scalar_one() != 1:
        raise MigrationFailed(BUSY_TOO_LONG)


def lock_name(place: MysqlPlace) -> str:
    """What the locks on a server's database begin with; a name has at most 64 characters."""
    return f"caremesh.{hashlib.sha256(place.name.encode()).hexdigest()[:32]}"


@contextmanager
def serving(place: Place) -> Iterator[None]:
    """Says, while the block lasts, that a SQLite database is in use; on a server a replica has a seat.

    Raises:
        CopyRefused: a copy is being put back into it.
    """
    with _occupied(place, fcntl.LOCK_SH, "a copy is being put back into the database; start when that is done"):
        yield


@contextmanager
def stopped(place: Place) -> Iterator[None]:
    """Keeps services from a SQLite database while the block lasts; for a server's see `all_seats`.

    Raises:
        CopyRefused: one is there.
    """
    with _occupied(place, fcntl.LOCK_EX, "the service is running; stop all of its replicas first"):
        yield


@contextmanager
def _occupied(place: Place, kind: int, refusal: str) -> Iterator[None]:
    if not isinstance(place, SqlitePlace):
        yield
        return
    with _lock(place.file, "serving", kind) as taken:
        if not taken:
            raise CopyRefused(refusal)
        yield


@contextmanager
def _lock(file: Path, name: str, kind: int) -> Iterator[bool]:
    """Whether the lock was free; if so it is held while the block lasts. The database's folder is made for it."""
    folders.make(file.parent)
    descriptor = os.open(file.with_name(f"{file.name}.{name}"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _try(descriptor, kind)
    finally:
        os.close(descriptor)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
