"""Copies the databases of both services into a new folder, while the clinic runs or after it.

Each copy is of one moment of its database. The folder gets its name when all of it is written: what was cut off
never looks like a backup. It holds patients' data, unencrypted; only you can read it.
"""

import argparse
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from caremesh.backups import command, pair
from caremesh.backups.command import named, tell
from caremesh.config import Config
from caremesh.endings import Refused
from caremesh.terminal import say
from mesh.version import __version__
from storage import folders
from storage.backup import Store, backup
from storage.copies import Copy


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="the new folder; it must not be there yet")
    command.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Makes the folder, or nothing."""
    return command.run("backup", arguments.config, partial(_backup, arguments.folder.absolute()))


async def _backup(folder: Path, _settings: Config, stores: Sequence[Store]) -> None:
    part = _begun(folder)
    try:
        copies = [await _copy(store, part) for store in stores]
        pair.seal(part, copies)
        folders.sync(part)
        part.rename(folder)
        folders.sync(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    tell({pair.place(folder, copy.label.service): copy for copy in copies})
    say(f"backup: all of it is in {folder}; `caremesh restore {folder}` puts it back", "green")


def _begun(folder: Path) -> Path:
    """A folder of another name beside it."""
    if folder.exists():
        raise Refused(f"{folder} is there already; name a new folder")
    part = folder.with_name(f"{folder.name}.part")
    folders.make(folder.parent)
    try:
        part.mkdir(mode=0o700)
    except FileExistsError:
        raise Refused(f"{part} is there: a backup is being written, or was cut off; if none is, remove it") from None
    return part


async def _copy(store: Store, folder: Path) -> Copy:
    with named(store.service):
        return await backup(store, pair.place(folder, store.service), __version__)
