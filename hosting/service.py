"""A service's process: migrate in a child, open the database, serve, announce; and all of it back again."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from hosting.settings import ServiceSettings
from hosting.sweep import sweeping
from hosting.watch import watching
from mesh.call import Service
from mesh.events import Events
from mesh.registry import Registration
from mesh.server import Health, Server
from mesh.version import __version__
from observability.setup import setup
from observability.tracing import trace_sql
from process.run import PARENT, run, watch_parent
from process.settings import SettingsError, load
from protos.codec import Codec
from storage.child import migrate_in_child
from storage.database import Database
from storage.errors import StorageError
from storage.shape import Shape

DOMAIN = "caremesh"


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


def main(hosted: Hosted, arguments: Sequence[str]) -> int:
    """`python -m <package>` serves, `python -m <package> migrate` migrates. Returns the exit code."""
    if arguments not in ([], ["migrate"]):
        return _failed(f"usage: python -m {hosted.package} [migrate]", 2)
    try:
        if arguments:
            return _migrate(hosted)
        return run(partial(_serve, hosted))
    except SettingsError as error:
        return _failed(str(error), 2)
    except (StorageError, OSError) as error:
        return _failed(f"{hosted.name}: {error}", 1)


def _failed(why: str, code: int) -> int:
    print(why, file=sys.stderr)  # noqa: T201  # logs are not set up, or not any more
    return code


def _migrate(hosted: Hosted) -> int:
    from storage.migrations import migrate  # Alembic takes long to import, and a service that serves needs none of it

    watch_parent(lambda: os._exit(1))
    migrate(load(hosted.settings, os.environ).database, hosted.migrations)
    return 0


async def _serve(hosted: Hosted, stop: asyncio.Event) -> None:
    settings = load(hosted.settings, os.environ)
    # The child's standard input ends with this process, and so does the child.
    child = migrate_in_child(["-m", hosted.package, "migrate"], os.environ | {PARENT: "0"})
    if await _done_before(stop, child):
        await _run(hosted, settings, stop)


async def _run(hosted: Hosted, settings: ServiceSettings, stop: asyncio.Event) -> None:
    events, health = Events(), Health()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            setup(
                process=settings.process,
                service=hosted.name,
                events=events,
                log_level=settings.log_level,
                log_format=settings.log_format,
                otlp_endpoint=settings.otlp_endpoint,
            )
        )
        database = await stack.enter_async_context(Database(settings.database))
        for engine in database.engines:
            trace_sql(engine)
        service = hosted.build(database, health)
        server = Server(
            [service],
            host=settings.host,
            port=settings.port,
            codec=Codec(),
            health=health,
            events=events,
            domain=DOMAIN,
        )
        await stack.enter_async_context(server)
        registration = Registration(
            settings.registry_addresses,
            service=hosted.name,
            address=settings.advertise or server.address,
            health=health,
            events=events,
            metadata=__version__,
        )
        await stack.enter_async_context(registration)
        await stack.enter_async_context(watching(database, health))
        kept = timedelta(hours=settings.keys_kept_hours)
        await stack.enter_async_context(sweeping(database, hosted.shape.keys, kept))
        await stop.wait()


async def _done_before(stop: asyncio.Event, work: Coroutine[object, object, None]) -> bool:
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if stop.is_set():  # a signal to the whole group ends the child too, and that is no failure
        task.cancel()
        await asyncio.wait({task})
        return False
    task.result()
    return True
