"""Copies: of one moment, whole, put back whole, and never over a service that runs."""

import asyncio
import shutil
import stat
from collections.abc import Iterator
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.address import place_of, sqlite_file
from storage.backup import Store, backup, check, held, restore
from storage.copies import Copy, checked
from storage.database import Database
from storage.documents import Documents
from storage.errors import CopyRefused, MigrationFailed, Unavailable
from storage.keys import Answered, Once, digest
from storage.occupied import alone, stopped
from tests.databases import DIALECTS, ON_MARIADB, ON_SQLITE, PRESCRIPTIONS, RECORDS, Kind, migrated
from tests.fakes.mariadb import MariaDB

EVERY_SCRIPT = "Příliš žluťoučký kůň · مرحبا · 病歷 · 🧑‍⚕️💊\n\t\\ \" ' \u2028"
ONCE: Once[Any] = Once("local", "k1", digest(b""), lambda _: b"\x00\xff")


def store(address: str, kind: Kind) -> Store:
    return Store(kind.name, address, kind.shape.table.metadata, kind.migrations)


async def copied(address: str, kind: Kind, file: Path) -> Copy:
    return await backup(store(address, kind), file, "1.2.3")


async def put_back(address: str, kind: Kind, file: Path) -> Copy:
    return await restore(store(address, kind), file)


async def everything(address: str, kind: Kind) -> dict[str, list[Any]]:
    """All rows of all tables."""

    async def work(connection: AsyncConnection) -> dict[str, list[Any]]:
        tables = kind.shape.table.metadata.sorted_tables
        return {table.name: sorted((await connection.execute(select(table))).all()) for table in tables}

    async with Database(address) as database:
        return await database.read(work)


async def filled(address: str, kind: Kind, count: int = 12) -> None:
    """Documents with histories, one of them deleted, one written under a key."""
    await migrated(address, kind)
    async with Database(address) as database:
        documents = Documents(database, kind.shape)
        for number in range(count):
            await documents.add(kind.content(words=EVERY_SCRIPT, source_id=f"s{number}" if number % 2 else ""), "a")
        await documents.replace(1, lambda content: content, "b", once=ONCE)
        await documents.delete(2, 0, "c")


@pytest.fixture(params=DIALECTS)
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Another empty database, of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/elsewhere.db"
        return
    with request.getfixturevalue("server").database() as made:
        yield made


async def test_a_copy_put_back_is_the_database_on_any_kind_of_database(
    address: str, elsewhere: str, kind: Kind, tmp_path: Path
) -> None:
    """Every row of every table; keys are still answered, ids go on; a clinic can move to a server by this."""
    await filled(address, kind)
    file = tmp_path / "copy"
    copy = await copied(address, kind, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert await put_back(elsewhere, kind, file) == checked(file) == copy
    found = await everything(elsewhere, kind)
    assert found == await everything(address, kind)
    assert sum(map(len, found.values())) == copy.rows == await held(store(elsewhere, kind)) == 12 + 14 + 1
    async with Database(elsewhere) as database:
        documents = Documents(database, kind.shape)
        with pytest.raises(Answered):
            await documents.replace(1, lambda content: content, "b", once=ONCE)
        assert (await documents.add(kind.content(), "a")).key == 13


async def test_what_was_there_is_replaced_as_a_whole(address: str, kind: Kind, tmp_path: Path) -> None:
    """After a mistake of yesterday nothing of yesterday may be left; and it can be done again."""
    await filled(address, kind)
    before, file = await everything(address, kind), tmp_path / "copy"
    await copied(address, kind, file)
    async with Database(address) as database:
        documents = Documents(database, kind.shape)
        await documents.replace(1, lambda _: kind.content(words="spoilt"), "eve")
        late = await documents.add(kind.content(), "eve")
    for _ in range(2):
        await put_back(address, kind, file)
        assert await everything(address, kind) == before
    async with Database(address) as database:
        new = await Documents(database, kind.shape).add(kind.content(), "a")
    assert new.key > late.key  # someone may hold a link to what is lost


async def test_a_copy_taken_while_others_write_is_of_one_moment(address: str, kind: Kind, tmp_path: Path) -> None:
    """Each document with the version it has, each key with its document: nothing is half there."""
    await migrated(address, kind)
    async with Database(address) as database:
        documents, stop = Documents(database, kind.shape), asyncio.Event()

        async def write(number: int) -> None:
            key, turn = (await documents.add(kind.content(), "a", 20)).key, 0
            while not stop.is_set():
                turn += 1
                once: Once[Any] = Once("local", f"{number}.{turn}", digest(b""), lambda _: b"")
                await documents.replace(key, lambda content: content, "a", 20, once=once)

        writers = [asyncio.create_task(write(number)) for number in range(4)]
        files = [tmp_path / f"copy{number}" for number in range(4)]
        for file in files:
            await copied(address, kind, file)
        stop.set()
        await asyncio.gather(*writers)
    for file in files:
        await put_back(address, kind, file)
        found = await everything(address, kind)
        table, versions, keys = (
            found[table.name] for table in (kind.shape.table, kind.shape.versions, kind.shape.keys)
        )
        assert len(versions) == len(keys) + len(table) == sum(row.version for row in table)


async def test_a_running_service_is_not_written_over(address: str, kind: Kind, tmp_path: Path) -> None:
    """It would go on with what it knows of the old one. Its copy can be taken."""
    await filled(address, kind)
    file = tmp_path / "copy"
    async with Database(address) as database:
        documents = Documents(database, kind.shape)
        await copied(address, kind, file)
        late = await documents.add(kind.content(), "a")
        with pytest.raises(CopyRefused, match="stop all"):
            await put_back(address, kind, file)
        assert await documents.get(late.key) == late
    await put_back(address, kind, file)


@ON_MARIADB
async def test_another_users_service_is_not_written_over_either_nor_begins_while_a_copy_is_put_back(
    address: str, server: MariaDB, tmp_path: Path
) -> None:
    """A server does not tell one user that another is connected. A seat lost with its connection is taken again."""
    await filled(address, RECORDS)
    file = tmp_path / "copy"
    await copied(address, RECORDS, file)
    with server.other_user(address) as other:
        async with Database(address) as database:
            with pytest.raises(CopyRefused, match="stop all"):
                await put_back(other, RECORDS, file)
            server.sql("KILL USER clinic")
            await database.check()
            with pytest.raises(CopyRefused, match="stop all"):
                await put_back(other, RECORDS, file)
        refused = list[BaseException]()
        await restore(store(other, RECORDS), file, partial(_refused_start, address, refused))
        assert "being put back" in str(refused)
    async with Database(address):
        pass


async def _refused_start(address: str, refused: list[BaseException]) -> None:
    with pytest.raises(CopyRefused) as caught:
        async with Database(address):
            pass
    refused.append(caught.value)


@ON_SQLITE
async def test_a_running_service_is_not_written_over_by_a_link_to_its_file(address: str, tmp_path: Path) -> None:
    """The locks lie beside the file itself, by whatever name it is called."""
    await filled(address, RECORDS)
    file, link = tmp_path / "copy", tmp_path / "elsewhere" / "link.db"
    await copied(address, RECORDS, file)
    link.parent.mkdir()
    link.symlink_to(sqlite_file(address))
    async with Database(address):
        with pytest.raises(CopyRefused, match="stop all"):
            await put_back(f"sqlite:///{link}", RECORDS, file)


async def test_putting_back_that_fails_changes_nothing(
    address: str, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one transaction, to the last row."""
    await filled(address, kind)
    before, file = await everything(address, kind), tmp_path / "copy"
    await copied(address, kind, file)
    for name, lines in _tables_of(file).items():
        monkeypatch.setattr("storage.backup.tables", partial(_fails_after, name, lines))
        with pytest.raises(ZeroDivisionError):
            await put_back(address, kind, file)
        assert await everything(address, kind) == before


async def test_what_is_done_before_the_end_can_still_leave_all_as_it_was(
    address: str, kind: Kind, tmp_path: Path
) -> None:
    """The other service's copy may turn out not to fit in there."""
    await filled(address, kind)
    file = tmp_path / "copy"
    await copied(address, kind, file)
    async with Database(address) as database:
        await Documents(database, kind.shape).add(kind.content(), "late")
    before = await everything(address, kind)

    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await restore(store(address, kind), file, fail)
    assert await everything(address, kind) == before


def _tables_of(file: Path) -> dict[str, list[Any]]:
    from storage.copies import tables

    return {name: [columns, list(rows)] for name, columns, rows in tables(file)}


def _fails_after(name: str, content: list[Any], _file: Path) -> Iterator[Any]:
    columns, rows = content
    yield name, columns, iter(rows)
    raise ZeroDivisionError


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A database and its copy, which these tests only read."""
    folder = tmp_path_factory.mktemp("copy")
    address, file = f"sqlite:///{folder}/records.db", folder / "copy"
    asyncio.run(filled(address, RECORDS))
    asyncio.run(copied(address, RECORDS, file))
    return address, file


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_copy_that_was_cut_short_or_changed_is_refused_before_anything_is_touched(
    copy: tuple[str, Path], tmp_path: Path, data: st.DataObject
) -> None:
    """A disk that failed, a transfer that ended early."""
    whole, spoilt = copy[1].read_bytes(), tmp_path / "spoilt"
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytes([data.draw(st.sampled_from([byte for byte in range(256) if byte != whole[place]]))])
    last = place == len(whole) - 1  # the last newline may be missing or another space, which changes nothing
    for bad in (whole[:place], whole[:place] + changed + whole[place + 1 :]):
        spoilt.write_bytes(bad)
        if not last:
            with pytest.raises(CopyRefused):
                checked(spoilt)
    assert checked(copy[1]).label.service == "records"


def test_a_copy_that_tells_another_number_of_rows_is_refused(copy: tuple[str, Path], tmp_path: Path) -> None:
    """The checksum is of the lines before the last one."""
    changed = tmp_path / "changed"
    changed.write_bytes(copy[1].read_bytes().replace(b'{"rows":27,', b'{"rows":28,'))
    with pytest.raises(CopyRefused, match="not a whole copy"):
        checked(changed)


def test_a_copy_of_another_service_is_refused(copy: tuple[str, Path], sqlite_address: str) -> None:
    """Two files in one folder are soon exchanged."""
    with pytest.raises(CopyRefused, match="a copy of records, not of prescriptions"):
        check(store(sqlite_address, PRESCRIPTIONS), copy[1])


def rewritten(whole: Path, into: Path, before: bytes, after: bytes) -> None:
    """A copy that says something else, with the checksum of that."""
    *lines, last = whole.read_bytes().replace(before, after).splitlines(keepends=True)
    found = blake2b(b"".join(lines), digest_size=32, person=b"caremesh.copy").hexdigest()
    into.write_bytes(b"".join(lines) + orjson.dumps({"rows": orjson.loads(last)["rows"], "checksum": found}) + b"\n")


def test_a_copy_of_another_schema_is_refused_with_its_remedy(
    copy: tuple[str, Path], sqlite_address: str, tmp_path: Path
) -> None:
    """Its columns are not these. Which program is the newer one decides what helps; versions may be the same."""
    older = tmp_path / "older"
    shutil.copytree(RECORDS.migrations, older)
    newest = max((older / "versions").glob("r*.py"))
    newest.unlink()
    with pytest.raises(CopyRefused, match=r"of schema 0002, made by version 1\.2\.3; .* is 0001: .* newer program"):
        check(Store("records", sqlite_address, RECORDS.shape.table.metadata, older), copy[1])
    old = tmp_path / "old"
    rewritten(copy[1], old, b'"schema":"0002"', b'"schema":"0001"')
    with pytest.raises(CopyRefused, match=r"of schema 0001, .* is 0002: .* older program .* then start this one"):
        check(store(sqlite_address, RECORDS), old)


async def test_a_database_that_was_not_brought_up_to_date_is_not_copied(sqlite_address: str, tmp_path: Path) -> None:
    """The copy would say that it is of a schema that it is not of."""
    await migrated(sqlite_address, RECORDS)
    async with Database(sqlite_address) as database:
        old = text("UPDATE alembic_version SET version_num = '0001'")
        await database.write(partial(AsyncConnection.execute, statement=old))
    with pytest.raises(CopyRefused, match="start the service once"):
        await copied(sqlite_address, RECORDS, tmp_path / "copy")
    async with Database(sqlite_address) as database:
        new = text("UPDATE alembic_version SET version_num = '0009'")
        await database.write(partial(AsyncConnection.execute, statement=new))
    with pytest.raises(CopyRefused, match=r"of schema 0009 .* newer program"):
        await copied(sqlite_address, RECORDS, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


async def test_where_nothing_is_yet_nothing_would_be_lost_and_nothing_is_copied(
    address: str, dialect: str, tmp_path: Path
) -> None:
    """A first start that never came to its migration."""
    assert await held(store(address, RECORDS)) == 0
    if dialect == "sqlite":
        assert not sqlite_file(address).exists()
        sqlite_file(address).touch()
        assert await held(store(address, RECORDS)) == 0
    with pytest.raises(CopyRefused, match=r"of schema none .* start the service once"):
        await copied(address, RECORDS, tmp_path / "copy")


def test_a_copy_never_replaces_a_file_and_a_failed_one_leaves_none(copy: tuple[str, Path], tmp_path: Path) -> None:
    """The copy of yesterday may be the only good one."""
    with pytest.raises(CopyRefused, match="is there already"):
        asyncio.run(copied(copy[0], RECORDS, copy[1]))
    gone = copy[0].replace("records.db", "nothing.db")
    with pytest.raises(Unavailable, match="cannot be used"):
        asyncio.run(copied(gone, RECORDS, tmp_path / "copy"))
    assert list(tmp_path.iterdir()) == []


@ON_SQLITE
async def test_a_service_that_starts_while_a_copy_is_put_back_waits_or_is_told(address: str) -> None:
    """A supervisor starts what has ended."""
    await migrated(address, RECORDS)
    place = place_of(address)
    with alone(place, 1), stopped(place):
        with pytest.raises(MigrationFailed, match="another process"):
            await migrated(address, RECORDS, 0.1)
        with pytest.raises(CopyRefused, match="being put back"):
            async with Database(address):
                pass
    async with Database(address):
        pass
