"""Transactions on real database files: whole or not at all, whatever happens to their callers."""

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.address import sqlite_file
from storage.database import Database
from storage.documents import Documents
from storage.errors import NotFound, OutcomeUnknown, Unavailable
from tests.databases import ON_SQLITE, RECORDS, Kind
from tests.fakes.waiting import until
from tests.integration.storage.rivals import Rival, in_two_processes


async def listed(documents: Documents[Any]) -> int:
    return len((await documents.page(7, 200, "")).items)


class Held:
    """A write that waits in its transaction until it is let go."""

    def __init__(self, kind: Kind) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self._table = kind.shape.table

    async def __call__(self, connection: AsyncConnection) -> None:
        await connection.execute(self._table.delete())
        self.begun.set()
        await self.go_on.wait()


@ON_SQLITE
async def test_a_cancelled_write_rolls_back_before_the_next_one_begins(
    database: Database, documents: Documents[Any], kind: Kind
) -> None:
    """Otherwise the next write would commit what a caller that has gone had half done."""
    await documents.add(kind.content(), "local")
    held = Held(kind)
    writing = asyncio.create_task(database.write(held))
    await held.begun.wait()
    following = asyncio.create_task(documents.add(kind.content(), "local"))
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert not following.done()
    held.go_on.set()
    await following
    assert await listed(documents) == 2


@ON_SQLITE
async def test_a_caller_that_goes_while_it_waits_for_its_turn_gives_it_up(
    database: Database, documents: Documents[Any], kind: Kind
) -> None:
    """It would write what nobody waits for any more."""
    held = Held(kind)
    writing = asyncio.create_task(database.write(held))
    await held.begun.wait()
    gone = asyncio.create_task(documents.add(kind.content(), "local"))
    await asyncio.sleep(0)
    gone.cancel()
    held.go_on.set()
    await writing
    await documents.add(kind.content(), "local")
    assert await listed(documents) == 1


async def test_a_write_that_takes_longer_than_its_caller_grants_changes_nothing(
    database: Database, documents: Documents[Any], kind: Kind
) -> None:
    """The caller has been told that it failed, so it must not succeed later."""
    await documents.add(kind.content(), "local")

    async def slow(connection: AsyncConnection) -> None:
        await connection.execute(kind.shape.table.delete())
        await asyncio.sleep(0.2)

    with pytest.raises(Unavailable) as caught:
        await database.write(slow, patience=0.1)
    assert caught.value.code == "DATABASE_BUSY"
    assert await listed(documents) == 1


async def test_a_lock_of_another_process_is_waited_for_as_long_as_the_caller_grants(
    address: str, documents: Documents[Any], kind: Kind
) -> None:
    """Then the answer is a clear one, in time, and nothing was changed."""
    loop = asyncio.get_running_loop()
    async with Rival(address, kind.shape):
        begun = loop.time()
        with pytest.raises(Unavailable) as caught:
            await documents.add(kind.content(), "local", patience=0.4)
        assert 0.2 < loop.time() - begun < 0.4
        assert caught.value.code == "DATABASE_BUSY"
        assert await listed(documents) == 0  # reads go on meanwhile
        waiting = asyncio.create_task(documents.add(kind.content(), "local", patience=20))
        await asyncio.sleep(0.05)
    await waiting
    assert await listed(documents) == 1


async def test_no_patience_is_an_answer_at_once(documents: Documents[Any], kind: Kind) -> None:
    """What cannot finish in time is not begun."""
    with pytest.raises(Unavailable):
        await documents.add(kind.content(), "local", patience=0)
    assert await listed(documents) == 0


@pytest.mark.parametrize("kind", [RECORDS], ids=["records"])
async def test_two_processes_lose_none_of_1200_read_modify_writes(
    address: str, documents: Documents[Any], kind: Kind
) -> None:
    """With the driver's own BEGIN most of them vanish without an error."""
    document = await documents.add(kind.content(), "local")
    await in_two_processes(address, document.key, writes=600)
    assert (await documents.get(document.key)).version == 1201


async def test_a_reader_cannot_write(database: Database, kind: Kind) -> None:
    """A write outside the writers' lane would have no lock and no rules."""
    with pytest.raises(Unavailable):
        await database.read(lambda connection: connection.execute(kind.shape.table.delete()))


async def test_a_read_sees_one_moment_of_the_database(
    database: Database, documents: Documents[Any], kind: Kind
) -> None:
    """A page must not be half of before and half of after."""
    key = (await documents.add(kind.content(), "local")).key

    async def twice(connection: AsyncConnection) -> list[int]:
        version = text(f"SELECT version FROM {kind.shape.table.name} WHERE {kind.shape.key} = {key}")
        first = (await connection.execute(version)).scalar_one()
        await documents.replace(key, lambda content: content, "local")
        return [first, (await connection.execute(version)).scalar_one()]

    assert await database.read(twice) == [1, 1]
    assert (await documents.get(key)).version == 2


async def test_another_writer_who_was_first_with_a_unique_value_is_looked_at_again(database: Database) -> None:
    """Its row is seen only by a new transaction."""
    tries = list[int]()

    async def work(_connection: AsyncConnection) -> str:
        tries.append(1)
        if len(tries) == 1:
            raise IntegrityError("", None, Exception())
        return "answered"

    assert await database.write(work) == "answered"


@ON_SQLITE
async def test_a_full_database_refuses_writes_and_reads_on_and_goes_on_when_there_is_room(
    database: Database, documents: Documents[Any], kind: Kind
) -> None:
    """Nothing is half written, and nobody has to restart anything."""

    async def pages_at_most(connection: AsyncConnection, number: int) -> None:
        await connection.execute(text(f"PRAGMA max_page_count = {number}"))

    async def add() -> None:
        await documents.add(kind.content(words="x" * 10_000), "local")

    await database.write(lambda connection: pages_at_most(connection, 20))
    outcomes = await asyncio.gather(*(add() for _ in range(40)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert {getattr(outcome, "code", outcome) for outcome in refused} == {"DATABASE_FULL"}
    assert await listed(documents) == 40 - len(refused) > 0
    await database.write(lambda connection: pages_at_most(connection, 1_000_000))
    await add()
    assert await listed(documents) == 41 - len(refused)


@ON_SQLITE
async def test_a_database_file_that_is_gone_is_told_and_never_made_anew(address: str, kind: Kind) -> None:
    """An empty database in its place would answer that no patient has any records."""
    with pytest.raises(Unavailable) as caught:
        async with Database(address):
            pass
    assert caught.value.code == "DATABASE_DOWN"
    assert not sqlite_file(address).exists()


async def test_a_commit_without_a_clear_answer_is_told_as_such(
    database: Database, documents: Documents[Any], kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller must not take it for a write that did not happen."""

    async def lost(_transaction: object) -> None:
        raise DBAPIError("COMMIT", None, Exception(), connection_invalidated=True)

    with monkeypatch.context() as patched:
        patched.setattr("sqlalchemy.ext.asyncio.AsyncTransaction.commit", lost)
        with pytest.raises(OutcomeUnknown):
            await documents.add(kind.content(), "local")
    await documents.add(kind.content(), "local")


@ON_SQLITE
@pytest.mark.parametrize("setting", [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)])
async def test_writers_have_the_settings_that_durability_needs(database: Database, setting: tuple[str, object]) -> None:
    """synchronous=2 is FULL: an acknowledged write outlives the machine."""
    name, value = setting
    answer = await database.write(lambda connection: connection.execute(text(f"PRAGMA {name}")))
    assert answer.scalar_one() == value


@ON_SQLITE
async def test_closing_ends_every_thread_even_with_transactions_under_way(
    address: str, database: Database, kind: Kind
) -> None:
    """A connection left open keeps the process from ending."""
    before = threading.active_count()
    async with Database(address) as second:
        held = Held(kind)
        writing = asyncio.create_task(second.write(held))
        await held.begun.wait()
        await second.check()
        assert threading.active_count() > before
        asyncio.get_running_loop().call_later(0.05, held.go_on.set)
    await writing
    await until(lambda: threading.active_count() <= before)


async def test_a_failure_in_the_work_rolls_back_and_reaches_the_caller(
    database: Database, documents: Documents[Any], kind: Kind
) -> None:
    """A refusal after the first statement leaves nothing behind."""

    async def refused(connection: AsyncConnection) -> None:
        await connection.execute(kind.shape.table.delete())
        raise NotFound(1)

    await documents.add(kind.content(), "local")
    with pytest.raises(NotFound):
        await database.write(refused)
    assert await listed(documents) == 1
