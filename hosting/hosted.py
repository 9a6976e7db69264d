"""What a service gives to be run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosting.settings import ServiceSettings
from mesh.call import Service
from mesh.server import Health
from storage.database import Database
from storage.shape import Shape


@dataclass(frozen=True, slots=True)
class Hosted:
    """What a service gives to be run.

    Attributes:
        name: what callers ask the registry for.
        package: `python -m <package>` runs it.
        settings: the class of its settings.
        migrations: the folder of its migrations.
        shape: how its documents lie in their tables.
        build: makes the service out of its database and its health.
    """

    name: str
    package: str
    settings: type[ServiceSettings]
    migrations: Path
    shape: Shape[Any]
    build: Callable[[Database, Health], Service]
