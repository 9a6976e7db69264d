"""What a service's program does besides serving: migrate, copy its database, put a copy back."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from hosting.hosted import Hosted
from hosting.settings import ServiceSettings
from mesh.version import __version__
from process.run import watch_parent

Command = Callable[[Hosted, ServiceSettings, Path], str]


def _migrate(hosted: Hosted, settings: ServiceSettings, _file: Path) -> str:
    from storage.migrations import migrate  # Alembic takes long to import, and a service that serves needs none of it

    watch_parent(lambda: os._exit(1))
    migrate(settings.database, hosted.migrations)
    return ""


def _backup(hosted: Hosted, settings: ServiceSettings, file: Path) -> str:
    from storage.backup import backup

    metadata = hosted.shape.table.metadata
    rows = backup(settings.database, metadata, hosted.migrations, file, hosted.name, __version__)
    return f"{hosted.name}: {rows} rows copied to {file}"


def _restore(hosted: Hosted, settings: ServiceSettings, file: Path) -> str:
    from storage.backup import restore

    metadata = hosted.shape.table.metadata
    rows = restore(settings.database, metadata, hosted.migrations, file, hosted.name)
    return f"{hosted.name}: {rows} rows put back from {file}"


COMMANDS: Mapping[tuple[str, int], Command] = {
    ("migrate", 0): _migrate,
    ("backup", 1): _backup,
    ("restore", 1): _restore,
}
"""By their name and the number of files that they are given."""
USAGE = "[migrate | backup FILE | restore FILE]"
