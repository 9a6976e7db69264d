"""Which failure of the database driver means what."""

import sqlite3

from sqlalchemy.exc import DBAPIError

from storage.errors import StorageError, Unavailable

BUSY = "DATABASE_BUSY"
FULL = "DATABASE_FULL"
DOWN = "DATABASE_DOWN"

# https://www.sqlite.org/rescode.html; the lower byte of an extended code is the primary one.
SQLITE = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_IOERR: DOWN,
    sqlite3.SQLITE_CANTOPEN: DOWN,
    sqlite3.SQLITE_READONLY: DOWN,
    sqlite3.SQLITE_PERM: DOWN,
    sqlite3.SQLITE_CORRUPT: DOWN,
    sqlite3.SQLITE_NOTADB: DOWN,
}
TEXTS = {
    BUSY: "the database is busy; try again",
    FULL: "the database has no room left; free some on its disk",
    DOWN: "the database cannot be used at present",
}


def unavailable(code: str) -> Unavailable:
    return Unavailable(code, TEXTS[code])


def meaning(error: DBAPIError) -> StorageError | None:
    """What a driver's error tells the caller, or None where it is a fault of this program."""
    number = getattr(error.orig, "sqlite_errorcode", None)
    if number is None:
        return unavailable(DOWN) if error.connection_invalidated else None
    code = SQLITE.get(number & 0xFF)
    return unavailable(code) if code else None


def is_busy(error: DBAPIError) -> bool:
    told = meaning(error)
    return isinstance(told, Unavailable) and told.code == BUSY
