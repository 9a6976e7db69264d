"""Connections that the server closes while nobody uses them, on either kind of event loop: services run on uvloop."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop
from sqlalchemy import text

from storage.database import WRITERS, Database
from storage.documents import Documents
from storage.errors import OutcomeUnknown, Unavailable
from storage.failures import DOWN
from storage.migrations import migrate
from tests.databases import RECORDS
from tests.fakes.mariadb import MariaDB
from tests.fakes.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture
def impatient(server: MariaDB, mariadb_address: str) -> Iterator[str]:
    """The address of a database whose server closes a connection that has said nothing for a second."""
    migrate(mariadb_address, RECORDS.migrations)
    server.sql("SET GLOBAL wait_timeout = 1")
    try:
        yield mariadb_address
    finally:
        server.sql("SET GLOBAL wait_timeout = 28800")


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loops(request: pytest.FixtureRequest) -> Loops:
    made: Loops = request.param
    return made


def test_writes_and_reads_go_on_after_an_idle_time(
    server: MariaDB, impatient: str, loops: Loops, caplog: pytest.LogCaptureFixture
) -> None:
    """A clinic sleeps at night; no call of the morning may meet a connection that the server has closed."""

    async def night() -> None:
        async with Database(impatient) as database:
            documents = Documents(database, RECORDS.shape)
            await asyncio.gather(*(documents.add(RECORDS.content(), "evening") for _ in range(WRITERS)))
            await _closed(server)
            for _ in range(WRITERS):  # one after the other: each might have another connection of the pool
                await documents.add(RECORDS.content(), "morning")
                await documents.get(1)
            await _closed(server)

    _run(loops, night())
    assert not [record.getMessage() for record in caplog.records]  # to part from a dead connection is no failure


def test_a_connection_that_is_closed_in_a_transaction_ends_it_whole(
    server: MariaDB, impatient: str, loops: Loops
) -> None:
    """The caller may try again: the server has rolled back."""

    async def twice(connection: Any) -> None:
        change = RECORDS.shape.table.update().values(doctor_id=9)
        await connection.execute(change)
        await _closed(server)
        await connection.execute(change)

    async def day() -> None:
        async with Database(impatient) as database:
            documents = Documents(database, RECORDS.shape)
            await documents.add(RECORDS.content(), "a")
            with pytest.raises(Unavailable) as caught:
                await database.write(twice, 30)
            assert caught.value.code == DOWN
            assert (await documents.get(1)).content.doctor_id == 3

    _run(loops, day())


def test_a_connection_that_is_closed_before_its_commit_leaves_the_outcome_open(
    server: MariaDB, impatient: str, loops: Loops
) -> None:
    """Whether COMMIT arrived cannot be known from a connection that is gone."""

    async def slow(connection: Any) -> None:
        await connection.execute(RECORDS.shape.table.update().values(doctor_id=9))
        await _closed(server)

    async def day() -> None:
        async with Database(impatient) as database:
            with pytest.raises(OutcomeUnknown):
                await database.write(slow, 30)

    _run(loops, day())


@pytest.mark.parametrize(("longest", "is_new"), [(0.0, True), (300.0, False)], ids=["long", "short"])
async def test_a_connection_that_lay_idle_for_long_is_not_used_any_more(
    mariadb_address: str, monkeypatch: pytest.MonkeyPatch, longest: float, *, is_new: bool
) -> None:
    """A firewall between has forgotten it without a word, and the next call would wait for nothing."""
    monkeypatch.setattr("storage.mysql.LONGEST_IDLE", longest)

    async def number(connection: Any) -> object:
        return (await connection.execute(text("SELECT CONNECTION_ID()"))).scalar_one()

    async with Database(mariadb_address, writers=1) as database:
        first = await database.write(number)
        assert (await database.write(number) != first) is is_new


async def _closed(server: MariaDB) -> None:
    """Waits until the server has closed every connection, and this side has heard of it."""
    left = "SELECT id FROM information_schema.processlist WHERE user = 'clinic'"
    await until(lambda: not server.sql(left))
    await asyncio.sleep(0.1)


def _run(loops: Loops, work: Any) -> None:
    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(work)
