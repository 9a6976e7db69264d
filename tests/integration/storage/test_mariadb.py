"""A server that is killed or is slow: what callers are told, and that it comes back."""

import asyncio
import signal
from typing import Any

import pytest

from storage.database import Database
from storage.documents import Documents
from storage.errors import OutcomeUnknown, Unavailable
from storage.failures import BUSY, DOWN
from tests.databases import RECORDS, migrated
from tests.fakes.mariadb import MariaDB
from tests.fakes.waiting import until


async def test_a_server_that_was_started_anew_is_used_at_once(frail: MariaDB, mortal: str) -> None:
    """The connections in the pool are of the server that is gone; no caller may meet them."""
    await migrated(mortal, RECORDS)
    async with Database(mortal) as database:
        documents = Documents(database, RECORDS.shape)
        await asyncio.gather(*(documents.add(RECORDS.content(), "a") for _ in range(8)))
        frail.kill()
        with pytest.raises(Unavailable) as caught:
            await documents.get(1)
        assert caught.value.code == DOWN
        with pytest.raises(Unavailable):
            await documents.add(RECORDS.content(), "a")
        await asyncio.to_thread(frail.start)
        await asyncio.gather(*(documents.add(RECORDS.content(), "b") for _ in range(8)))
        frail.kill()
        await asyncio.to_thread(frail.start)  # this time unseen: every connection in both pools is stale
        await asyncio.gather(
            *(documents.get(1) for _ in range(4)), *(documents.add(RECORDS.content(), "c") for _ in range(8))
        )
        assert len((await documents.page(7, 50, "")).items) == 24


async def test_a_server_that_stops_answering_is_told_in_time_and_taken_back(frail: MariaDB, mortal: str) -> None:
    """A caller with a deadline gets an answer within it; what it wrote is not there, or it was told that it may be."""
    await migrated(mortal, RECORDS)
    loop = asyncio.get_running_loop()
    async with Database(mortal) as database:
        documents = Documents(database, RECORDS.shape)
        await documents.add(RECORDS.content(), "a")
        frail.process.send_signal(signal.SIGSTOP)
        begun = loop.time()
        outcomes = await asyncio.gather(
            *(documents.add(RECORDS.content(), "b", 0.5) for _ in range(3)),
            *(documents.get(1, 0, 0.5) for _ in range(3)),
            return_exceptions=True,
        )
        assert loop.time() - begun < 0.5
        frail.process.send_signal(signal.SIGCONT)
        assert {getattr(outcome, "code", outcome) for outcome in outcomes} == {BUSY}
        await asyncio.gather(*(documents.add(RECORDS.content(), "c") for _ in range(3)))
        items = (await documents.page(7, 50, "")).items
        assert [item.updated_by for item in items] == ["c", "c", "c", "a"]


async def test_a_transaction_that_hangs_is_given_up_with_its_connection(
    frail: MariaDB, mortal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every turn would be taken by somebody who waits for ever, and the service with them."""
    monkeypatch.setattr("storage.database.HUNG", 0.3)
    await migrated(mortal, RECORDS)
    async with Database(mortal, writers=1) as database:
        documents = Documents(database, RECORDS.shape)
        await documents.add(RECORDS.content(), "a")
        frail.process.send_signal(signal.SIGSTOP)
        with pytest.raises(Unavailable) as caught:
            await documents.add(RECORDS.content(), "b", 20)
        assert caught.value.code == DOWN
        frail.process.send_signal(signal.SIGCONT)
        await documents.add(RECORDS.content(), "c")
        assert [item.updated_by for item in (await documents.page(7, 50, "")).items] == ["c", "a"]


async def test_a_server_that_dies_in_a_commit_leaves_its_outcome_open(
    frail: MariaDB, mortal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never "it failed": the row may be there."""
    await migrated(mortal, RECORDS)
    async with Database(mortal) as database:
        documents = Documents(database, RECORDS.shape)
        await documents.add(RECORDS.content(), "a")
        commit = "sqlalchemy.ext.asyncio.AsyncTransaction.commit"
        original: Any = __import__("sqlalchemy.ext.asyncio", fromlist=["x"]).AsyncTransaction.commit

        async def dies(transaction: Any) -> None:
            frail.kill()
            await original(transaction)

        with monkeypatch.context() as patched:
            patched.setattr(commit, dies)
            with pytest.raises(OutcomeUnknown):
                await documents.add(RECORDS.content(), "b")
        await asyncio.to_thread(frail.start)
        await documents.add(RECORDS.content(), "c")


async def test_writers_that_wait_for_each_other_are_both_done(frail: MariaDB, mortal: str) -> None:
    """The server ends one of two in a deadlock; nothing was changed by it, so it is done again unseen."""
    await migrated(mortal, RECORDS)
    async with Database(mortal) as database:
        documents = Documents(database, RECORDS.shape)
        for _ in range(2):
            await documents.add(RECORDS.content(), "a")
        table, met, runs = RECORDS.shape.table, asyncio.Barrier(2), list[int]()

        async def both(first: int, second: int) -> None:
            async def work(connection: Any) -> None:
                runs.append(first)
                for number, key in enumerate((first, second)):
                    change = table.update().where(table.c.record_id == key).values(doctor_id=table.c.doctor_id + 1)
                    await connection.execute(change)
                    if number == 0 and len(runs) <= 2:
                        await met.wait()

            await database.write(work, 10)

        await asyncio.gather(both(1, 2), both(2, 1))
        assert len(runs) == 3
        assert [item.content.doctor_id for item in (await documents.page(7, 50, "")).items] == [5, 5]


async def test_every_table_is_utf8mb4_whatever_the_servers_default(frail: MariaDB, mortal: str) -> None:
    """The default of many servers, latin1, refuses "ť"."""
    await migrated(mortal, RECORDS)
    query = "SELECT table_name, table_collation FROM information_schema.tables WHERE table_schema = DATABASE()"
    found = frail.sql(query, database=mortal.rpartition("/")[2])
    assert len(found) == 4
    assert {collation for _, collation in found} == {"utf8mb4_bin"}


async def test_connections_are_given_back_after_any_failure(frail: MariaDB, mortal: str) -> None:
    """A pool that loses one with each failure is empty in the end."""
    await migrated(mortal, RECORDS)
    async with Database(mortal) as database:
        documents = Documents(database, RECORDS.shape)
        for _ in range(30):
            await asyncio.gather(*(documents.get(9) for _ in range(3)), return_exceptions=True)
            with pytest.raises(asyncio.CancelledError):
                await _cancelled(documents)
        out = " Current Checked out connections: 0"
        await until(lambda: all(out in engine.pool.status() for engine in database.engines))


async def _cancelled(documents: Documents[Any]) -> None:
    writing = asyncio.create_task(documents.add(RECORDS.content(), "a"))
    await asyncio.sleep(0.001)
    writing.cancel()
    await writing
