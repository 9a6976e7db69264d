"""Engines: where a database is, and how each dialect is spoken to.

SQLite by these rules: with two processes and the driver's defaults most acknowledged updates are lost
without an error, since `BEGIN` takes no lock and the driver begins only before a write. So writers begin with
`BEGIN IMMEDIATE` on one connection a process, readers with a plain `BEGIN` on their own.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, event, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.errors import AddressError

# Milliseconds that SQLite itself waits for a lock, which blocks the connection's thread. Writers wait little there
# and the rest in asyncio, where a deadline can end it; a reader waits only for the recovery after a crash.
WRITER_WAITS_MS = 5
READER_WAITS_MS = 1000


def sqlite_file(address: str) -> Path:
    """The file that a `sqlite:///…` address names.

    Raises:
        AddressError: it is not such an address.
    """
    try:
        url = make_url(address)
    except ArgumentError:
        raise AddressError("the database's address cannot be read; write sqlite:///path/to/file.db") from None
    if url.drivername != "sqlite":
        raise AddressError("only SQLite is supported; write sqlite:///path/to/file.db")
    if url.host or not url.database or url.database == ":memory:" or url.query:
        raise AddressError("the address must name a file and nothing else; write sqlite:///path/to/file.db")
    return Path(url.database).absolute()


def writing_engine(address: str) -> AsyncEngine:
    """One connection, whose transactions take the write lock when they begin."""
    pragmas = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={WRITER_WAITS_MS}")
    return _engine(address, connections=1, begin="BEGIN IMMEDIATE", pragmas=pragmas)


def reading_engine(address: str, connections: int) -> AsyncEngine:
    """Connections that can only read; each transaction sees one moment of the database."""
    pragmas = ("query_only=ON", f"busy_timeout={READER_WAITS_MS}")
    return _engine(address, connections=connections, begin="BEGIN", pragmas=pragmas)


def _engine(address: str, *, connections: int, begin: str, pragmas: tuple[str, ...]) -> AsyncEngine:
    engine = create_async_engine(
        _url(sqlite_file(address)),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,  # the text of a failed statement must not hold what a client sent
        connect_args={"timeout": READER_WAITS_MS / 1000},  # until the pragmas are set
    )
    _speak_sqlite(engine, begin, pragmas)
    return engine


def _url(file: Path) -> URL:
    # mode=rw: a file that was moved away is an error, never a new and empty database.
    return URL.create("sqlite+aiosqlite", database=f"file:{quote(str(file))}", query={"mode": "rw", "uri": "true"})


def _speak_sqlite(engine: AsyncEngine, begin: str, pragmas: tuple[str, ...]) -> None:
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # else the driver begins and commits where it sees fit
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begun)
