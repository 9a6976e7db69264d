"""What a service gives to be run."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from hosting.settings import ServiceSettings
from mesh.call import Service
from mesh.events import Events
from mesh.server import Health
from observability.tracing import Tracing
from storage.database import Database
from storage.shape import Shape

Beside = Callable[[asyncio.Event], Awaitable[None]]
"""Works beside a service until the event is set, and ends within a second then."""


class Mend(Protocol):
    """Changes what is in a database, within a transaction."""

    async def __call__(self, connection: AsyncConnection, settings: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What a service stands on.

    Attributes:
        settings: of the class that it named.
    """

    database: Database
    health: Health
    settings: Any
    events: Events
    tracing: Tracing


@dataclass(frozen=True, slots=True)
class Built:
    """A service, and what works beside it in the same process, if anything does."""

    service: Service
    beside: Beside | None = None


@dataclass(frozen=True, slots=True)
class Hosted:
    """What a service gives to be run.

    Attributes:
        name: what callers ask the registry for.
        package: `python -m <package>` runs it.
        settings: the class of its settings.
        migrations: the folder of its migrations.
        shape: how its documents lie in their tables.
        build: makes the service.
        mend: changes what a copy has put into its database as far as it may not be true any more.
        command: what arguments ask for that only this service does; None where they ask for nothing that there is.
        usage: of those arguments, in a line.
    """

    name: str
    package: str
    settings: type[ServiceSettings]
    migrations: Path
    shape: Shape[Any]
    build: Callable[[Ground], Built]
    mend: Mend | None = None
    command: "Callable[[Sequence[str]], Command | None]" = lambda _: None
    usage: str = ""


Command = Callable[[Hosted, ServiceSettings], str]
"""Done by a program that does not serve; returns what to print."""
