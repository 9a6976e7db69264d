"""`caremesh restore`: both databases or none, and nothing lost that nobody gave up."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from caremesh import state
from caremesh.backups import pair
from storage import backup as storage_backup
from storage import copies
from storage.address import sqlite_file
from storage.copies import Copy
from storage.database import Database
from tests.databases import ON_SQLITE
from tests.integration.caremesh.stopped import KINDS, Clinic


def test_what_was_there_at_the_backup_is_there_after_the_restore(
    clinic: Clinic, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row by row, in both databases, and only after it was said that what came later may go."""
    before = clinic.everything()
    clinic.write("after")
    after = clinic.everything()
    assert clinic.run("restore", str(kept)) == 1
    assert "12 rows of records and 12 rows of prescriptions would be lost" in capsys.readouterr().err
    assert clinic.everything() == after != before
    assert clinic.run("restore", "--replace", str(kept)) == 0
    assert clinic.everything() == before


def cut_short(kept: Path, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def changed(kept: Path, file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"before", b"befort", 1))


def of_the_other_service(kept: Path, file: Path) -> None:
    (other,) = [one for one in kept.glob("*.jsonl") if one != file]
    shutil.copy(other, file)


def missing(kept: Path, file: Path) -> None:
    file.unlink()


def of_another_schema(kept: Path, file: Path) -> None:
    relabelled(file, schema="0001", program="0.0.9")


def of_another_backup(kept: Path, file: Path) -> None:
    relabelled(file, made_at="2020-01-01T00:00:00+00:00")


def relabelled(file: Path, **changes: str) -> None:
    """The same rows under another label, with a checksum that is right."""
    first, *lines = file.read_bytes().splitlines(keepends=True)
    head = json.dumps({**json.loads(first), **changes}).encode() + b"\n"
    found = copies._checksum()
    found.update(b"".join([head, *lines[:-1]]))
    end = {**json.loads(lines[-1]), "checksum": found.hexdigest()}
    file.write_bytes(b"".join([head, *lines[:-1], json.dumps(end).encode()]))


def unsealed(kept: Path, file: Path) -> None:
    (kept / pair.MANIFEST).unlink()


def sealed_by_others(kept: Path, file: Path) -> None:
    (kept / pair.MANIFEST).write_text('{"format": "x"}')


DAMAGE: list[tuple[Callable[[Path, Path], None], str]] = [
    (cut_short, "was cut short or changed; take another one"),
    (changed, "was cut short or changed; take another one"),
    (of_the_other_service, "is a copy of "),
    (missing, "No such file"),
    (of_another_schema, "older program that made it, then start this one"),
    (of_another_backup, "from another backup than"),
    (unsealed, "is not a whole backup"),
    (sealed_by_others, "was changed, or is of another program"),
]


@ON_SQLITE
@pytest.mark.parametrize("service", KINDS)
@pytest.mark.parametrize(("damage", "told"), DAMAGE, ids=[damage.__name__ for damage, _ in DAMAGE])
def test_a_backup_that_is_not_whole_is_refused_before_either_database_is_touched(
    clinic: Clinic,
    kept: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path, Path], None],
    told: str,
    service: str,
) -> None:
    """Whichever of the two copies it is; half of a backup would be a clinic that never was."""
    damage(kept, kept / f"{service}.jsonl")
    files = {name: sqlite_file(address) for name, address in clinic.addresses.items()}
    before = {name: (file.read_bytes(), file.stat().st_mtime_ns) for name, file in files.items()}
    assert clinic.run("restore", "--replace", str(kept)) == 1
    assert told in capsys.readouterr().err
    assert {name: (file.read_bytes(), file.stat().st_mtime_ns) for name, file in files.items()} == before


@pytest.mark.parametrize("service", KINDS)
def test_when_one_copy_does_not_fit_in_the_other_is_not_put_back_either(
    clinic: Clinic, kept: Path, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """A full disk, a lost connection: at the very last row of the one or of the other."""
    clinic.write("after")
    after, tables = clinic.everything(), copies.tables

    def failing(path: Path) -> Iterator[Any]:
        yield from tables(path)
        if path.stem == service:
            raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(storage_backup, "tables", failing)
    assert clinic.run("restore", "--replace", str(kept)) == 1
    assert clinic.everything() == after


@ON_SQLITE
def test_when_only_one_could_be_put_back_that_is_told(
    clinic: Clinic, kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No transaction spans two databases: the second COMMIT may fail after the first."""
    restore = storage_backup.restore

    async def failing(store: storage_backup.Store, *arguments: Any) -> Copy:
        copy = await restore(store, *arguments)
        if store.service == "records":
            raise OSError(5, "Input/output error", "records.db")
        return copy

    monkeypatch.setattr("caremesh.backups.restore.restore", failing)
    assert clinic.run("restore", "--replace", str(kept)) == 1
    assert "only prescriptions is put back; `caremesh restore --replace" in capsys.readouterr().err


@ON_SQLITE
def test_over_a_running_clinic_nothing_is_put_back(
    clinic: Clinic, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would go on with what it knows of the old one."""
    before = clinic.everything()
    with state.locked(clinic.place / "var"):
        running = state.State(os.getpid(), "http://127.0.0.1:8080", "", ())
        state.write(clinic.place / "var", running)
        assert clinic.run("restore", "--replace", str(kept)) == 1
    assert f"stop it with Ctrl-C in its terminal or `kill {os.getpid()}`" in capsys.readouterr().err
    assert clinic.everything() == before


@pytest.mark.parametrize("service", KINDS)
def test_over_a_service_that_runs_by_itself_nothing_is_put_back(
    clinic: Clinic, kept: Path, capsys: pytest.CaptureFixture[str], service: str
) -> None:
    """In a container, or on another machine with the same database; the other service is left alone, too."""
    before = clinic.everything()

    async def meanwhile() -> int:
        async with Database(clinic.addresses[service]):
            return await asyncio.to_thread(_in_a_process, clinic, kept)

    assert asyncio.run(meanwhile()) == 1
    assert clinic.everything() == before


def _in_a_process(clinic: Clinic, kept: Path) -> int:
    """Signals are a matter of the main thread."""
    line = [sys.executable, "-m", "caremesh", "restore", "--replace", str(kept)]
    done = subprocess.run(
        [*line, "--config", str(clinic.place / "caremesh.toml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "stop all" in done.stderr
    return done.returncode


@ON_SQLITE
def test_a_clinic_that_lost_its_data_folder_is_there_again(clinic: Clinic, kept: Path) -> None:
    """The day that backups are for; nothing has to be made first."""
    before = clinic.everything()
    shutil.rmtree(clinic.place / "var")
    assert clinic.run("restore", str(kept)) == 0
    assert clinic.everything() == before


@ON_SQLITE
def test_a_damaged_database_is_told_and_left_for_whoever_can_mend_it(
    clinic: Clinic, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may hold what no backup has."""
    before = clinic.everything()
    file = sqlite_file(clinic.addresses["records"])
    file.write_bytes(b"a letter to my doctor\n" * 100)
    assert clinic.run("restore", "--replace", str(kept)) == 1
    assert "records: the database cannot be used at present; `caremesh doctor`" in capsys.readouterr().err
    assert file.read_bytes() == b"a letter to my doctor\n" * 100
    clinic.run("doctor")
    assert f"move {file} away, and put a backup back" in capsys.readouterr().out
    file.rename(file.with_suffix(".damaged"))
    assert clinic.run("restore", "--replace", str(kept)) == 0
    assert clinic.everything() == before
