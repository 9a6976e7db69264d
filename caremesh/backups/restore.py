"""Puts a backup back into the databases of both services, which must be stopped: both of them or none.

Both copies are checked before either database is touched. What the databases hold is replaced only with --replace,
each in one transaction; `caremesh backup` keeps it first. What was written after the backup is gone then.
"""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from caremesh import state
from caremesh.backups import command, pair
from caremesh.backups.command import named, tell
from caremesh.config import Config
from caremesh.endings import Refused
from caremesh.terminal import complain, say
from storage.backup import Store, held, restore
from storage.copies import Copy


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="what `caremesh backup` made")
    parser.add_argument("--replace", action="store_true", help="give up what the databases hold")
    command.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Puts both back, or neither."""
    return command.run("restore", arguments.config, partial(_restore, arguments.folder, replace=arguments.replace))


async def _restore(folder: Path, settings: Config, stores: Sequence[Store], *, replace: bool) -> None:
    with state.locked(settings.data):
        copies = pair.whole(folder, stores)
        lost = await _rows(stores)
        if any(lost.values()) and not replace:
            raise Refused(
                f"{_listed(lost)} would be lost; `caremesh backup ANOTHER` keeps them, and then "
                f"`caremesh restore --replace {folder}` puts this backup in their place"
            )
        done: dict[Path, Copy] = {}
        try:
            await _put_back(list(copies.items()), done)
        except BaseException:
            if done:
                names = ", ".join(copy.label.service for copy in done.values())
                complain(
                    f"restore: of all, only {names} is put back; `caremesh restore --replace {folder}` does the rest"
                )
            raise
    tell({path: done[path] for path in copies})
    replaced = f", in the place of {_listed(lost)}" if any(lost.values()) else ""
    say(f"restore: all of it is put back{replaced}; `caremesh up` starts the clinic", "green")


async def _put_back(copies: Sequence[tuple[Path, Store]], done: dict[Path, Copy]) -> None:
    """The last one is committed first, when all the others are in place: then only a failing COMMIT can part them."""
    (path, store), *others = copies
    with named(store.service):
        done[path] = await restore(store, path, partial(_put_back, others, done) if others else None)


async def _rows(stores: Sequence[Store]) -> dict[str, int]:
    found = {}
    for store in stores:
        with named(store.service):
            found[store.service] = await held(store)
    return found


def _listed(rows: Mapping[str, int]) -> str:
    return " and ".join(f"{count:,} rows of {service}" for service, count in rows.items())
