"""Which failure of the database driver means what."""

import sqlite3

from sqlalchemy.exc import DBAPIError

from storage.errors import StorageError, Unavailable

BUSY = "DATABASE_BUSY"
FULL = "DATABASE_FULL"
DOWN = "DATABASE_DOWN"

# https://www.sqlite.org/rescode.html; the lower byte of an extended code is the primary one.
SQLITE = {
    sqlite3.SQLITE_IOERR_SHMSIZE: FULL,  # the log's index, made by whoever is first to open the database
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
# dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html, mariadb.com/kb/en/mariadb-error-codes
MYSQL = {
    **dict.fromkeys((1020, 1040, 1203, 1205, 1213, 1226, 1317, 1969, 3024, 3058), BUSY),
    **dict.fromkeys((3, 1021, 1026, 1114), FULL),
    **dict.fromkeys((1044, 1045, 1049, 1053, 1152, 1158, 1159, 1160, 1161, 1290, 1792, 1836, 1927, 4031), DOWN),
}
OF_THE_CLIENT = range(2000, 3000)  # it could not connect, or lost the connection
STORAGE_ENGINE, NO_SPACE = 1030, "28"  # "Got error 28 …": the number is the operating system's
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
    code = _of_mysql(error) if number is None else SQLITE.get(number, SQLITE.get(number & 0xFF))
    if code is None and error.connection_invalidated:
        code = DOWN
    return unavailable(code) if code else None


def _of_mysql(error: DBAPIError) -> str | None:
    number, *words = getattr(error.orig, "args", ()) or (0,)
    if number == STORAGE_ENGINE:
        return FULL if NO_SPACE in str(words) else DOWN
    return DOWN if number in OF_THE_CLIENT else MYSQL.get(number)


def is_busy(error: DBAPIError) -> bool:
    told = meaning(error)
    return isinstance(told, Unavailable) and told.code == BUSY


def refused_whole(error: DBAPIError) -> bool:
    """Whether a COMMIT that failed so has certainly changed nothing."""
    told = meaning(error)
    if not isinstance(told, Unavailable):
        return False
    # SQLite without room keeps the transaction open, to be rolled back; of MySQL nothing is known then.
    return told.code == BUSY or (told.code == FULL and hasattr(error.orig, "sqlite_errorcode"))


def collided(error: Unavailable) -> bool:
    """Whether the database itself ended a transaction because of another one."""
    return error.code == BUSY and isinstance(error.__cause__, DBAPIError)
