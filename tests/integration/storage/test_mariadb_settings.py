"""A server that is set up badly: it is not used, and what is wrong is named with its remedy."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from hosting.watch import watching
from mesh.server import Health
from storage.database import Database
from storage.documents import Documents
from storage.errors import MigrationFailed, Unfit
from tests.databases import RECORDS, migrated
from tests.fakes.mariadb import MariaDB
from tests.fakes.waiting import until

TABLES = RECORDS.shape.table.metadata.tables
NOT_DURABLE = "--innodb-flush-log-at-trx-commit=0"


@pytest.fixture
def restored(frail: MariaDB) -> Iterator[MariaDB]:
    """A server that gets its usual settings back after the test."""
    yield frail
    frail.kill()
    frail.start()


@pytest.mark.parametrize(
    ("setting", "wrong", "right"),
    [
        ("innodb_flush_log_at_trx_commit", "0", "1"),
        ("max_allowed_packet", "1048576", "16777216"),
        ("read_only", "ON", "OFF"),
    ],
)
async def test_a_setting_of_the_server_that_breaks_a_promise_is_named_with_its_remedy(
    frail: MariaDB, mortal: str, setting: str, wrong: str, right: str
) -> None:
    """Before the first write is acknowledged, not after the first is lost."""
    await migrated(mortal, RECORDS)
    frail.sql(f"SET GLOBAL {setting} = {wrong}")
    try:
        with pytest.raises(Unfit, match=rf"(?s){setting}|read-only.*{setting}"):
            async with Database(mortal):
                pass
    finally:
        frail.sql(f"SET GLOBAL {setting} = {right}")
    async with Database(mortal) as database:
        await database.check()


@pytest.mark.parametrize("change", ["CONVERT TO CHARACTER SET latin1", "ENGINE=Aria"])
async def test_a_table_that_would_lose_letters_or_writes_is_named(frail: MariaDB, mortal: str, change: str) -> None:
    """Someone restored it by other means."""
    await migrated(mortal, RECORDS)
    frail.sql(f"ALTER TABLE record_versions {change}", database=mortal.rpartition("/")[2])
    with pytest.raises(Unfit, match="ALTER TABLE record_versions"):
        async with Database(mortal, tables=TABLES):
            pass


async def test_what_others_have_in_the_database_is_none_of_our_business(frail: MariaDB, mortal: str) -> None:
    """A view for a report, or another program's table, keeps no clinic from opening."""
    await migrated(mortal, RECORDS)
    view, table = "CREATE VIEW report AS SELECT 1", "CREATE TABLE foreign_one (id INT) ENGINE=MyISAM CHARSET latin1"
    frail.sql(view, table, database=mortal.rpartition("/")[2])
    async with Database(mortal, tables=TABLES) as database:
        await database.check()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ([NOT_DURABLE], "set it to 1"),
        (["--innodb-flush-method=nosync"], "innodb_flush_method is nosync.*set it to fsync"),
        (["--log-bin=b", "--sync-binlog=1", "--binlog-format=STATEMENT"], "binlog_format is STATEMENT.*set it to ROW"),
    ],
    ids=["log", "method", "binlog"],
)
async def test_a_server_that_was_started_with_a_wrong_option_is_not_migrated_either(
    restored: MariaDB, mortal: str, options: list[str], named: str
) -> None:
    """Half a schema, or one that a crash takes back, helps nobody."""
    restored.kill()
    await asyncio.to_thread(restored.start, *options)
    with pytest.raises(MigrationFailed, match=named):
        await migrated(mortal, RECORDS)
    assert not restored.sql("SHOW TABLES", database=mortal.rpartition("/")[2])


@pytest.mark.parametrize(
    "options",
    [
        ["--innodb-flush-log-at-trx-commit=3"],
        ["--log-bin=b", "--sync-binlog=1", "--binlog-format=MIXED"],
    ],
    ids=["log", "binlog"],
)
async def test_what_is_as_durable_as_what_is_usual_is_accepted(
    restored: MariaDB, mortal: str, options: list[str]
) -> None:
    """An operator's good choice is no fault."""
    restored.kill()
    await asyncio.to_thread(restored.start, *options)
    await migrated(mortal, RECORDS)
    async with Database(mortal, tables=TABLES) as database:
        await Documents(database, RECORDS.shape).add(RECORDS.content(), "a")


async def test_a_server_that_comes_back_with_a_wrong_setting_gets_no_more_writes(
    restored: MariaDB, mortal: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each would be acknowledged and could be lost; whoever mends it needs no restart of the services."""
    await migrated(mortal, RECORDS)
    caplog.set_level(logging.ERROR, "hosting.watch")
    health = Health()
    async with Database(mortal) as database, watching(database, health, every=0.01):
        documents = Documents(database, RECORDS.shape)
        await documents.add(RECORDS.content(), "a")
        restored.kill()
        await asyncio.to_thread(restored.start, NOT_DURABLE)
        for _ in range(3):
            with pytest.raises(Unfit, match="set it to 1"):
                await documents.add(RECORDS.content(), "b")
        await until(lambda: not health.serving and caplog.messages)
        await asyncio.sleep(0.1)  # several looks
        (message,) = caplog.messages
        assert "innodb_flush_log_at_trx_commit is 0" in message
        restored.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
        await until(lambda: health.serving)
        await documents.add(RECORDS.content(), "c")
        restored.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")  # while all stay connected
        await until(lambda: not health.serving and len(caplog.messages) > 1)
        assert [item.updated_by for item in (await documents.page(7, 50, "")).items] == ["c", "a"]
