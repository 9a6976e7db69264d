"""A backup as a folder: a copy of each service's database, and a file that says which ones belong together."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from caremesh.backups.command import named
from caremesh.endings import Refused
from storage.backup import Store, check
from storage.copies import Copy

FORMAT = "caremesh-backup-1"
MANIFEST = "backup.json"


def place(folder: Path, service: str) -> Path:
    """Where the copy of a service's database is."""
    return folder / f"{service}.jsonl"


def seal(folder: Path, copies: Sequence[Copy]) -> None:
    """Says that these copies belong together."""
    told = {"format": FORMAT, "checksums": {copy.label.service: copy.checksum for copy in copies}}
    with os.fdopen(os.open(folder / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(told, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def whole(folder: Path, stores: Sequence[Store]) -> dict[Path, Store]:
    """Each copy of a backup, read to its end and found fit, with the database that it is for.

    Raises:
        Refused: it is no backup, or not every copy is fit and belongs to it.
        OSError: it cannot be read.
    """
    checksums = _sealed(folder)
    found = {place(folder, store.service): store for store in stores}
    for path, store in found.items():
        with named(store.service):
            copy = check(store, path)
        if checksums.get(store.service) != copy.checksum:
            raise Refused(f"{path} is whole, and from another backup than {folder / MANIFEST}; find the one from here")
    return found


def _sealed(folder: Path) -> dict[str, str]:
    try:
        told = json.loads((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        remedy = f"name a folder that `caremesh backup` made: it has {MANIFEST}"
        raise Refused(f"{folder} is not a whole backup; {remedy}") from None
    except ValueError:
        told = None
    if not isinstance(told, dict) or told.get("format") != FORMAT or not isinstance(told.get("checksums"), dict):
        raise Refused(f"{folder / MANIFEST} was changed, or is of another program; take another backup")
    return dict(told["checksums"])
