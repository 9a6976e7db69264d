"""Other processes on the same database."""

import asyncio
import sqlite3
import sys
from types import TracebackType

from storage.engine import sqlite_file

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
    """Holds the database's write lock while its block lasts, on a connection that is none of ours."""

    def __init__(self, address: str) -> None:
        self._connection = sqlite3.connect(sqlite_file(address), isolation_level=None)

    async def __aenter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

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
