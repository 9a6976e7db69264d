"""What a service's program does besides serving: migrate, copy its database, put a copy back."""

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hosting.hosted import Command, Hosted
from hosting.settings import ServiceSettings
from mesh.version import __version__
from process.run import watch_parent
from storage.errors import CopyRefused

if TYPE_CHECKING:  # Alembic takes long to import, and a service that serves needs none of it
    from storage.backup import Store

USAGE = "migrate | backup FILE | restore [--replace] FILE"


def command(hosted: Hosted, arguments: Sequence[str]) -> Command | None:
    """What the arguments ask for. None where they ask for nothing that there is."""
    match arguments:
        case ["migrate"]:
            return _migrate
        case ["backup", file]:
            return partial(_backup, file=Path(file))
        case ["restore", "--replace", file]:
            return partial(_restore, file=Path(file), replace=True)
        case ["restore", file]:
            return partial(_restore, file=Path(file), replace=False)
    return hosted.command(arguments)


def usage(hosted: Hosted) -> str:
    """How the program is called."""
    return f"usage: python -m {hosted.package} [{' | '.join(filter(None, (USAGE, hosted.usage)))}]"


def store(hosted: Hosted, settings: ServiceSettings) -> "Store":
    """The service's database, to be copied or filled."""
    from storage.backup import Store

    mend = partial(hosted.mend, settings=settings) if hosted.mend else None
    return Store(hosted.name, settings.database, hosted.shape.table.metadata, hosted.migrations, mend)


def _migrate(hosted: Hosted, settings: ServiceSettings) -> str:
    from storage.migrations import migrate

    watch_parent(lambda: os._exit(1))
    migrate(settings.database, hosted.migrations)
    return ""


def _backup(hosted: Hosted, settings: ServiceSettings, file: Path) -> str:
    from storage.backup import backup

    copy = asyncio.run(backup(store(hosted, settings), file, __version__))
    return f"{hosted.name}: {copy.rows} rows copied to {file}"


def _restore(hosted: Hosted, settings: ServiceSettings, file: Path, replace: bool) -> str:  # noqa: FBT001  # by name
    return asyncio.run(_put_back(store(hosted, settings), file, replace=replace))


async def _put_back(into: "Store", file: Path, *, replace: bool) -> str:
    from storage.backup import held, restore

    if (rows := await held(into)) and not replace:
        raise CopyRefused(f"the database holds {rows} rows; `restore --replace {file}` replaces them by the copy's")
    copy = await restore(into, file)
    return f"{into.service}: {copy.rows} rows put back from {file}"
