"""SQLite and how it is spoken to.

With two processes and the driver's defaults most acknowledged updates are lost without an error, since `BEGIN`
takes no lock and the driver begins only before a write. So writers begin with `BEGIN IMMEDIATE` on one connection a
process, readers with a plain `BEGIN` on their own.
"""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite
from sqlalchemy import URL, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

# Milliseconds that SQLite itself waits for a lock, which blocks the connection's thread. Writers wait little there
# and the rest in asyncio, where a deadline can end it; a reader waits only for the recovery after a crash.
WRITER_WAITS_MS = 5
READER_WAITS_MS = 1000
NEEDED = {"journal_mode": "wal", "synchronous": 2}  # 2 is FULL: an acknowledged write outlives the machine


def writing_engine(file: Path) -> AsyncEngine:
    """One connection, whose transactions take the write lock when they begin."""
    pragmas = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={WRITER_WAITS_MS}")
    return _engine(file, connections=1, begin="BEGIN IMMEDIATE", pragmas=pragmas)


def reading_engine(file: Path, connections: int) -> AsyncEngine:
    """Connections that can only read; each transaction sees one moment of the database."""
    pragmas = ("query_only=ON", f"busy_timeout={READER_WAITS_MS}")
    return _engine(file, connections=connections, begin="BEGIN", pragmas=pragmas)


async def unfit(writer: AsyncConnection) -> list[str]:
    """What is wrong with the settings of a writing connection, each with its remedy."""
    found = {name: (await writer.execute(text(f"PRAGMA {name}"))).scalar_one() for name in NEEDED}
    return [
        f"{name} is {found[name]} and cannot be set to {needed}; put the file on a local disk"
        for name, needed in NEEDED.items()
        if found[name] != needed
    ]


def _engine(file: Path, *, connections: int, begin: str, pragmas: tuple[str, ...]) -> AsyncEngine:
    engine = create_async_engine(
        _url(file),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,  # the text of a failed statement must not hold what a client sent
        connect_args={
            "timeout": READER_WAITS_MS / 1000,  # until the pragmas are set
            "async_creator_fn": _connected,
        },
    )
    _speak_sqlite(engine, begin, pragmas)
    return engine


async def _connected(*place: Any, **options: Any) -> aiosqlite.Connection:
    """A connection, or an error and no thread any more.

    After a failed connect aiosqlite's thread tells the loop of its own end, and nobody awaits that: the loop may have
    been closed by then.
    """
    connection = aiosqlite.connect(*place, **options)
    thread = connection._thread  # noqa: SLF001  # as SQLAlchemy does it
    thread.daemon = True  # a connection that nobody closed keeps no process from ending
    try:
        return await connection
    except BaseException:
        await asyncio.to_thread(thread.join)  # it may still be opening the file
        raise


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
