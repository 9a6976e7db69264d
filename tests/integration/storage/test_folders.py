"""What was just made is found again after a power cut: its name is synced, and its folder's, and so on."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from caremesh import state
from caremesh.backups.backup import _begun
from storage import folders
from storage.migrations import migrate
from tests.databases import RECORDS


def by_migrating(folder: Path) -> None:
    migrate(f"sqlite:///{folder}/records.db", RECORDS.migrations)


def by_starting(folder: Path) -> None:
    with state.locked(folder):
        pass


def by_copying(folder: Path) -> None:
    _begun(folder / "backup")


@pytest.mark.parametrize("made", [folders.make, by_migrating, by_starting, by_copying])
def test_a_new_folder_is_synced_into_the_one_it_lies_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Callable[[Path], None]
) -> None:
    """Else an acknowledged write lies in a folder that nobody finds after the machine has stopped."""
    synced, fsync = set[Path](), os.fsync

    def seen(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", seen)
    made(tmp_path / "deep" / "data")
    assert synced >= {tmp_path, tmp_path / "deep"}
