"""What is done to show a defect: each workload does little, and always the same."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database
from storage.documents import Documents
from storage.errors import MigrationFailed
from storage.pages import Position
from tests.databases import RECORDS, migrated
from tests.faults import fsync
from tests.faults.asking import Answer, Log, Write
from tests.faults.direct import PATIENT, Desk, Killed, Mortal
from tests.faults.keeping import HOUSE
from tests.faults.long_list import Others

ONE_TRY = "a write is tried once, whoever else writes"
AGAIN = "a migration may be run again"
WALK = "a page walk shows each row once"
DEFECTIVE = Path(__file__).with_name("defective")
COMMITS = 6  # more than three writes need
ROUNDS = 50  # of two writers
TRACED = 12  # writes
ROWS, LIMIT = 40, 10

Workload = Callable[[Path, str], Coroutine[Any, Any, set[str]]]
"""Done in a folder with an empty database; given the name of the patch for processes that it starts, "" for none.

Returns the names of the checks that found something.
"""


def address(folder: Path) -> str:
    """Of the database in a workload's folder."""
    return f"sqlite:///{folder}/records.db"


async def one_client(folder: Path, _patch: str) -> set[str]:
    """Sends everything twice under its key, and once expects a version that is no more."""
    async with Mortal(address(folder)) as database:
        desk = Desk(database, Log())
        key = (await _twice(desk, desk.post("first"))).number("record_id")
        await _twice(desk, desk.put("second", key, expected=1))
        await desk.ask(desk.put("too late", key, expected=1))
        await desk.ask(desk.post("first"))
        other = (await _twice(desk, desk.post("other"))).number("record_id")
        await _twice(desk, desk.delete(other))
        return await _findings(desk)


async def dying_process(folder: Path, _patch: str) -> set[str]:
    """Writes, replaces, deletes. The process dies after its first, second, … commit; then the write is sent again."""
    async with Mortal(address(folder)) as database:
        log = Log()
        for commits in range(1, COMMITS + 1):
            database.commits_left, desk = commits, Desk(database, log)
            key = (await _until_known(desk, desk.post(f"first {commits}"))).number("record_id")
            await _until_known(desk, desk.put(f"second {commits}", key))
            await _until_known(desk, desk.delete(key))
        return await _findings(desk)


async def two_writers(folder: Path, _patch: str) -> set[str]:
    """Two processes replace the same record again and again, at the same moments."""
    async with Mortal(address(folder)) as one, Mortal(address(folder)) as other:
        log, kept = Log(), 0
        desks = Desk(one, log), Desk(other, log)
        key = (await desks[0].ask(desks[0].post("first"))).number("record_id")
        for number in range(ROUNDS):
            puts = (desk.ask(desk.put(f"{number} of {place}", key)) for place, desk in enumerate(desks))
            kept += sum(answer.status == 200 for answer in await asyncio.gather(*puts))
        tries = one.tries + other.tries - 1
        return await _findings(desks[0]) | ({ONE_TRY} if tries != kept else set())


async def migrated_twice(folder: Path, _patch: str) -> set[str]:
    """A process that migrates is killed before it has noted that it did; the next one does all of it again."""
    async with Mortal(address(folder)) as database:
        desk = Desk(database, Log())
        await _twice(desk, desk.post("first"))
        before = await _versions(database)
        forget = text("UPDATE alembic_version SET version_num = '0001'")
        await database.write(lambda connection: connection.execute(forget))
        try:
            await migrated(address(folder), RECORDS)
        except MigrationFailed:
            return {AGAIN}
        found = await _findings(desk)
        return found if await _versions(database) == before else {*found, AGAIN}


async def page_walk(folder: Path, _patch: str) -> set[str]:
    """Between two pages, rows that were shown are deleted or new ones are added before them."""
    async with Mortal(address(folder)) as database:
        documents = Documents(database, RECORDS.shape)
        keys = [(await documents.add(RECORDS.content(PATIENT), "local")).key for _ in range(ROWS)]
        others, walked, cursor = Others(database, keys), list[Position](), ""
        while cursor or not walked:
            page = await documents.page(PATIENT, LIMIT, cursor)
            walked += [Position(item.content.date, item.key) for item in page.items]
            cursor = page.next_cursor
            if len(walked) % (2 * LIMIT):
                await others.change("deleted", walked[-1].key, Random(1))
            else:
                await documents.add(RECORDS.content(PATIENT), "local")
        return {WALK} if others.wrong(walked) else set()


async def under_strace(folder: Path, patch: str) -> set[str]:
    """A real service writes."""
    planted = {"PYTHONPATH": f"{DEFECTIVE}:{HOUSE}", "CAREMESH_TEST_DEFECT": patch} if patch else {}
    told = await asyncio.to_thread(fsync.written_and_judged, "records", folder / "traced", TRACED, planted)
    if told.answers != TRACED:
        raise ValueError(f"{TRACED} writes were acknowledged and {told.answers} answers were seen")
    return {fsync.CHECK} if told.broken else set()


async def _twice(desk: Desk, write: Write) -> Answer:
    await desk.ask(write)
    return await desk.ask(write)


async def _until_known(desk: Desk, write: Write) -> Answer:
    while True:
        with suppress(Killed):
            return await desk.ask(write)


async def _findings(desk: Desk) -> set[str]:
    return {finding.check for finding in await desk.findings()}


async def _versions(database: Database) -> Sequence[Any]:
    async def rows(connection: AsyncConnection) -> Sequence[Any]:
        return (await connection.execute(select(RECORDS.shape.versions))).all()

    return await database.read(rows)
