"""Other processes on the same database."""

import asyncio
import sqlite3
import sys
from types import TracebackType
from typing import Any

import pymysql  # type: ignore[import-untyped]

from storage.address import SqlitePlace, place_of
from storage.shape import Shape

WRITER = """
import asyncio, sys
from tests.databases import RECORDS
from storage.database import Database
from storage.documents import Documents

async def main(address, key, writes):
    async with Database(address) as database:
        documents = Documents(database, RECORDS.shape)
        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(documents.replace(key, lambda content: content, "local", 60) for _ in range(writes)))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


class Rival:
    """Keeps every writer from a table while its block lasts, on a connection that is none of ours."""

    def __init__(self, address: str, shape: Shape[Any]) -> None:
        self._statement = "BEGIN IMMEDIATE"
        self._connection: Any
        place = place_of(address)
        if isinstance(place, SqlitePlace):
            self._connection = sqlite3.connect(place.file, isolation_level=None)
        else:
            self._statement = f"LOCK TABLES {shape.table.name} READ"
            self._connection = pymysql.connect(
                host=place.host, port=place.port, user=place.user, password=place.password, database=place.name
            )

    async def __aenter__(self) -> None:
        self._connection.cursor().execute(self._statement)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()


async def in_two_processes(address: str, key: int, writes: int) -> None:
    """Each replaces the record so many times; both begin at the same moment."""
    arguments = (sys.executable, "-c", WRITER, address, str(key), str(writes))
    pipe = asyncio.subprocess.PIPE
    writers = [await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe) for _ in range(2)]
    for writer in writers:
        assert writer.stdout is not None
        assert await writer.stdout.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
    for writer in writers:
        await writer.communicate()
        assert writer.returncode == 0
