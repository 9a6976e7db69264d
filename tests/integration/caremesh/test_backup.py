"""`caremesh backup`: a folder that is whole, or none."""

import asyncio
import os
import signal
import stat
from pathlib import Path

import pytest

from caremesh.backups import backup as backup_command
from caremesh.backups import pair
from storage import copies
from storage.address import sqlite_file
from storage.copies import Copy
from tests.databases import ON_SQLITE
from tests.fakes.mariadb import PASSWORD, QUOTED
from tests.integration.caremesh.stopped import KINDS, Clinic


def test_both_commands_tell_rows_bytes_and_schema_and_no_secret(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cron job's mail shows that there is something in it, and anybody may read that mail."""
    kept = clinic.place / "kept"
    assert (clinic.run("backup", str(kept)), clinic.run("restore", "--replace", str(kept))) == (0, 0)
    clinic.run("restore", str(kept))
    said = capsys.readouterr()
    for name in KINDS:
        copy = copies.checked(kept / f"{name}.jsonl")
        told = f"{name} {copy.rows} rows {(kept / f'{name}.jsonl').stat().st_size:,} bytes schema {copy.label.schema}"
        assert [" ".join(line.split()) for line in said.out.splitlines()].count(told) == 2
    for secret in (PASSWORD, QUOTED, "mysql://", "sqlite://", "127.0.0.1"):
        assert secret not in said.out + said.err


@ON_SQLITE
def test_a_backup_is_for_its_owner_only(kept: Path) -> None:
    """It holds what the databases hold."""
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept.iterdir()} == {0o600}


@ON_SQLITE
def test_a_backup_never_replaces_anything(clinic: Clinic, kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one of yesterday may be the only good one, and another may be at work."""
    before = {file.name: file.read_bytes() for file in kept.iterdir()}
    assert clinic.run("backup", str(kept)) == 1
    assert "is there already; name a new folder" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in kept.iterdir()} == before
    (clinic.place / "next.part").mkdir()
    assert clinic.run("backup", str(clinic.place / "next")) == 1
    assert "next.part is there: a backup is being written, or was cut off" in capsys.readouterr().err


@ON_SQLITE
def test_a_backup_has_its_name_only_when_it_is_whole(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends it before leaves a name that nobody takes for a backup."""
    seal, seen = pair.seal, list[Path]()

    def looking(folder: Path, made: list[Copy]) -> None:
        seal(folder, made)
        seen.extend(clinic.place.glob("kept*"))

    monkeypatch.setattr(pair, "seal", looking)
    assert clinic.run("backup", str(clinic.place / "kept")) == 0
    assert seen == [clinic.place / "kept.part"]
    assert clinic.run("restore", str(clinic.place / "kept.part")) == 1
    assert [one.name for one in clinic.place.glob("kept*")] == ["kept"]


@ON_SQLITE
def test_a_backup_that_fails_leaves_nothing(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a clinic is no backup."""
    sqlite_file(clinic.addresses["prescriptions"]).unlink()
    assert clinic.run("backup", str(clinic.place / "kept")) == 1
    assert "prescriptions: the database cannot be used at present; `caremesh doctor`" in capsys.readouterr().err
    assert list(clinic.place.glob("kept*")) == []


@ON_SQLITE
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_backup_leaves_nothing(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """By Ctrl-C, or by the machine that goes down for the night."""

    async def interrupted(*_arguments: object) -> None:
        os.kill(os.getpid(), number)
        await asyncio.sleep(30)

    monkeypatch.setattr(backup_command, "backup", interrupted)
    assert clinic.run("backup", str(clinic.place / "kept")) == 130
    assert list(clinic.place.glob("kept*")) == []


@ON_SQLITE
@pytest.mark.parametrize("name", ["backup", "restore"])
def test_a_wrong_setting_is_wrong_usage(clinic: Clinic, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt address must not end in another database's backup."""
    config = clinic.place / "caremesh.toml"
    config.write_text(config.read_text() + '[records.environment]\nCAREMESH_DATABASES = "x"\n')
    assert clinic.run(name, str(clinic.place / "kept")) == 2
    assert "CAREMESH_DATABASES: records has no such setting; did you mean CAREMESH_DATABASE" in capsys.readouterr().err
    config.write_text("[records]\n")
    assert clinic.run(name, str(clinic.place / "kept")) == 2
