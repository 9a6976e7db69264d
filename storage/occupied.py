"""Who has a database for themselves: one process migrates, and what replaces all that is there finds nobody.

On SQLite these are locks on files beside the database, which the system lets go with the process that holds them. On
a server a lock belongs to a connection, and the server tells who else is connected.
"""

import asyncio
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.address import MysqlPlace, Place, SqlitePlace
from storage.errors import CopyRefused, MigrationFailed

PATIENCE = 2.0  # seconds for connections that were just closed
LOOK_AGAIN = 0.05  # seconds
BUSY_TOO_LONG = "another process has been migrating for too long; see what it does"
OTHERS = text("SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")


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
    name = f"caremesh.{hashlib.sha256(place.name.encode()).hexdigest()[:32]}"  # a name has at most 64 characters
    asked = text("SELECT GET_LOCK(:name, :seconds)").bindparams(name=name, seconds=patience)
    if (await connection.execute(asked)).scalar_one() != 1:
        raise MigrationFailed(BUSY_TOO_LONG)


@contextmanager
def serving(place: Place) -> Iterator[None]:
    """Says, while the block lasts, that a SQLite database is in use; a server knows who is connected.

    Raises:
        CopyRefused: a copy is being put back into it.
    """
    with _occupied(place, fcntl.LOCK_SH, "a copy is being put back into the database; start when that is done"):
        yield


@contextmanager
def stopped(place: Place) -> Iterator[None]:
    """Keeps services from a SQLite database while the block lasts; for a server's see `nobody_else`.

    Raises:
        CopyRefused: one is there.
    """
    with _occupied(place, fcntl.LOCK_EX, "the service is running; stop all of its replicas first"):
        yield


async def nobody_else(connection: AsyncConnection) -> None:
    """Raises CopyRefused where others are connected to a server's database."""
    ends = asyncio.get_running_loop().time() + PATIENCE
    while others := (await connection.execute(OTHERS)).scalar_one():
        if asyncio.get_running_loop().time() > ends:
            raise CopyRefused(f"{others} connections use the database; stop all replicas of the service first")
        await asyncio.sleep(LOOK_AGAIN)


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
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
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
