"""Migrations: once, in a child, whole or not at all, and a failure says why."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import stat
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import storage.migrations
from storage.address import sqlite_file
from storage.child import migrate_in_child
from storage.database import Database
from storage.documents import Documents
from storage.engine import writing_engine
from storage.errors import MigrationFailed, Unfit
from storage.migrations import migrate
from storage.shape import Shape
from tests.databases import ON_MARIADB, ON_SQLITE, PRESCRIPTIONS, RECORDS, Kind, migrated
from tests.fakes.mariadb import MariaDB
from tests.fakes.waiting import until

NOON = datetime(2026, 11, 24, 12, 0, 0, 1, tzinfo=UTC)
ENV = "from storage.migrations import run_migrations\n\nrun_migrations('notes')\n"
FIRST = """
from pathlib import Path
from storage import ddl
import sqlalchemy as sa

revision = "0001"
down_revision = None

def upgrade():
    ddl.table("notes", sa.Column("id", sa.Integer, primary_key=True))
    with Path(__file__).with_name("ran.txt").open("a") as ran:
        ran.write("once\\n")
"""
FAILS = """
from alembic import op
from storage import ddl
import sqlalchemy as sa

revision = "0002"
down_revision = "0001"

def upgrade():
    ddl.table("half", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO nowhere VALUES (1)")
"""


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    versions = tmp_path / "scripts" / "versions"
    versions.mkdir(parents=True)
    (versions.parent / "env.py").write_text(ENV)
    (versions / "r0001.py").write_text(FIRST)
    return versions.parent


async def tables(address: str) -> set[str]:
    async with Database(address) as database:
        return set(
            await database.read(lambda connection: connection.run_sync(lambda sync: inspect(sync).get_table_names()))
        )


async def run(address: str, statement: str) -> None:
    async with Database(address) as database:
        await database.write(partial(AsyncConnection.execute, statement=text(statement)))


def child(address: str, scripts: Path) -> list[str]:
    code = "import sys, pathlib, storage.migrations as m; m.migrate(sys.argv[1], pathlib.Path(sys.argv[2]))"
    return ["-c", code, address, str(scripts)]


async def test_replicas_that_start_at_once_migrate_once(address: str, scripts: Path) -> None:
    """Whoever is first migrates, the others wait and find it done."""
    await asyncio.gather(*(migrate_in_child(child(address, scripts), os.environ) for _ in range(4)))
    assert (scripts / "versions" / "ran.txt").read_text() == "once\n"
    assert "notes" in await tables(address)


def test_migrating_again_changes_nothing(address: str, scripts: Path) -> None:
    """Each start of each replica does so."""
    migrate(address, scripts)
    migrate(address, scripts)
    assert (scripts / "versions" / "ran.txt").read_text() == "once\n"


async def test_a_migration_that_fails_says_why_and_takes_nothing_away(
    address: str, dialect: str, scripts: Path
) -> None:
    """Old replicas go on serving. SQLite is as it was; MySQL keeps what was added until the migration is mended."""
    await asyncio.to_thread(migrate, address, scripts)
    failing = scripts / "versions" / "r0002.py"
    failing.write_text(FAILS)
    for _ in range(2):
        with pytest.raises(MigrationFailed, match="nowhere"):
            await asyncio.to_thread(migrate, address, scripts)
        added = set[str]() if dialect == "sqlite" else {"half"}
        assert await tables(address) == {"alembic_version", "notes"} | added
    failing.unlink()
    await asyncio.to_thread(migrate, address, scripts)
    failing.write_text(FAILS.replace("nowhere VALUES", "notes VALUES"))
    await asyncio.to_thread(migrate, address, scripts)
    assert await tables(address) == {"alembic_version", "notes", "half"}


async def test_a_database_of_a_newer_version_is_refused_with_its_remedy(address: str, scripts: Path) -> None:
    """An old program would write what the new schema does not expect."""
    await asyncio.to_thread(migrate, address, scripts)
    await run(address, "UPDATE alembic_version SET version_num = '0009'")
    with pytest.raises(MigrationFailed, match=r"of schema 0009, .* newer version"):
        await asyncio.to_thread(migrate, address, scripts)


async def test_another_services_database_is_refused_and_left_as_it_was(address: str, kind: Kind) -> None:
    """Both number their schemas alike: the second would take the first one's for its own and lack its tables."""
    other = PRESCRIPTIONS if kind is RECORDS else RECORDS
    await migrated(address, other)
    before = await tables(address)
    with pytest.raises(MigrationFailed, match=f"no table {kind.name}, .* give each service a database of its own"):
        await migrated(address, kind)
    assert await tables(address) == before
    await migrated(address, other)


async def test_a_table_that_is_gone_is_named_at_the_start(address: str, kind: Kind) -> None:
    """Else the service starts, and every request fails."""
    await migrated(address, kind)
    await run(address, f"DROP TABLE {kind.shape.versions.name}")
    with pytest.raises(Unfit, match=f"the table {kind.shape.versions.name} is missing; name"):
        async with Database(address, tables=kind.shape.table.metadata.tables):
            pass


@ON_SQLITE
def test_what_is_no_database_is_told(address: str, scripts: Path) -> None:
    """A wrong path must not overwrite what lies there."""
    file = sqlite_file(address)
    file.write_bytes(b"a letter to my doctor\n" * 100)
    with pytest.raises(MigrationFailed, match="database"):
        migrate(address, scripts)
    assert file.read_bytes() == b"a letter to my doctor\n" * 100


@ON_SQLITE
def test_only_this_user_may_read_the_database(address: str, scripts: Path) -> None:
    """It holds patients' data."""
    migrate(address, scripts)
    assert stat.S_IMODE(sqlite_file(address).stat().st_mode) == 0o600


@ON_SQLITE
def test_another_migration_that_never_ends_is_not_waited_for_for_ever(address: str, scripts: Path) -> None:
    """A start that hangs without a word helps nobody."""
    file = sqlite_file(address)
    with file.with_name(f"{file.name}.migrating").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(MigrationFailed, match="another process"):
            migrate(address, scripts, patience=0.2)
    migrate(address, scripts)


@ON_MARIADB
async def test_two_servers_databases_migrate_independently_and_one_that_hangs_is_not_waited_for(
    address: str, server: MariaDB, scripts: Path
) -> None:
    """The lock is the database's own: another clinic's on the same server does not matter."""
    name = f"caremesh.{hashlib.sha256(address.rpartition('/')[2].encode()).hexdigest()[:32]}"
    with server.holding(f"SELECT GET_LOCK('{name}', 0)"):
        with pytest.raises(MigrationFailed, match="another process"):
            await asyncio.to_thread(migrate, address, scripts, 0.2)
        with server.database() as other:
            await asyncio.to_thread(migrate, other, scripts)
    await asyncio.to_thread(migrate, address, scripts)


@ON_MARIADB
async def test_a_migration_that_was_ended_after_any_statement_goes_on_when_it_is_run_again(
    address: str, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MySQL commits each statement; a machine may stop after any of them."""

    def end(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.strip().startswith("CREATE"):
            raise ConnectionAbortedError

    ended, done = 0, False
    monkeypatch.setattr(storage.migrations, "writing_engine", partial(_listened, end))
    while not done:
        try:
            await migrated(address, kind)
            done = True
        except MigrationFailed:
            ended += 1
            assert ended < 30
    assert ended >= 7  # each table and each index of its own
    async with Database(address) as database:
        documents = Documents(database, kind.shape)
        assert (await documents.history((await documents.add(kind.content(), "a")).key, 0, 9, "")).items
        assert await database.read(lambda connection: connection.run_sync(differences, kind)) == []


def _listened(listener: Any, *arguments: Any) -> AsyncEngine:
    engine = writing_engine(*arguments)
    event.listen(engine.sync_engine, "after_cursor_execute", listener)
    return engine


async def test_a_child_that_fails_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """The service must not start on an old schema; the child has said why on standard error."""
    with pytest.raises(MigrationFailed, match="code 3"):
        await migrate_in_child(["-c", "import sys; print('why', file=sys.stderr); sys.exit(3)"], os.environ)
    assert capfd.readouterr().err == "why\n"


async def test_a_start_that_is_given_up_takes_its_child_along(tmp_path: Path) -> None:
    """Nothing goes on migrating when the supervisor has said stop."""
    told = tmp_path / "pid"
    code = f"import os, sys; open({str(told)!r}, 'w').write(f'{{os.getpid()}}\\n'); sys.stdin.read()"
    starting = asyncio.create_task(migrate_in_child(["-c", code], os.environ))
    await until(lambda: told.exists() and told.read_text().endswith("\n"))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


async def test_what_was_stored_before_there_were_histories_begins_its_history_as_it_is(
    address: str, kind: Kind, tmp_path: Path
) -> None:
    """Of live and deleted ones alike; and however often the migration is begun again."""
    old = tmp_path / "old"
    shutil.copytree(kind.migrations, old)
    for later in (old / "versions").glob("r000[2-9]*.py"):
        later.unlink()
    await asyncio.to_thread(migrate, address, old)
    async with Database(address) as database:
        await database.write(partial(_old_rows, kind.shape))
    await migrated(address, kind)
    async with Database(address) as database:
        documents = Documents(database, kind.shape)
        live = await documents.get(1)
        assert (await documents.history(1, 0, 50, "")).items == [live]
        (hidden,) = (await documents.history(2, 0, 50, "")).items
        assert (hidden.version, hidden.deleted) == (4, True)
        changed = await documents.replace(1, lambda content: content, "local")
        assert (await documents.history(1, 0, 50, "")).items == [changed, live]


async def _old_rows(shape: Shape[Any], connection: AsyncConnection) -> None:
    kind = RECORDS if shape is RECORDS.shape else PRESCRIPTIONS
    for version, hidden in ((3, None), (4, NOON)):
        stamps = {"version": version, "created_at": NOON, "updated_at": NOON, "updated_by": "a", "deleted_at": hidden}
        await connection.execute(shape.table.insert().values({**shape.columns(kind.content()), **stamps}))


async def test_the_migrated_schema_is_the_one_the_tables_describe(address: str, kind: Kind) -> None:
    """The tables in Python are what statements are made from; the scripts are what is really there."""
    await migrated(address, kind)
    async with Database(address) as database:
        assert await database.read(lambda connection: connection.run_sync(differences, kind)) == []


def differences(connection: Connection, kind: Kind) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), kind.shape.table.metadata))
