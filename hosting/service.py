"""A service's process: migrate in a child, open the database, serve, announce; and all of it back again."""

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

from hosting.beside import beside
from hosting.commands import command, usage
from hosting.hosted import Ground, Hosted
from hosting.settings import ServiceSettings
from hosting.sweep import sweeping
from hosting.watch import watching
from mesh.events import Events
from mesh.policy import AdmissionPolicy
from mesh.policy.table import PolicyError, admission
from mesh.registry import Registration
from mesh.server import Health, Server
from mesh.version import __version__
from observability.setup import setup
from observability.tracing import trace_sql
from process.control import ControlPort
from process.run import PARENT, Stop, run
from process.settings import SettingsError, load
from protos.codec import Codec
from storage.child import migrate_in_child
from storage.database import Database
from storage.errors import StorageError

DOMAIN = "caremesh"
GRACE, HURRIED = 10.0, 0.7
"""Seconds for what is in flight when it ends; a call's own deadline is shorter than the first, as a rule."""
AGE_GRACE = 60.0  # seconds for what is in flight on a connection that has got too old; a watch would stay for ever


def main(hosted: Hosted, arguments: Sequence[str]) -> int:
    """`python -m <package>` serves; with arguments it does one of its commands. Returns the exit code."""
    asked = command(hosted, arguments)
    if arguments and not asked:
        return _failed(usage(hosted), 2)
    try:
        if not asked:
            return run(partial(_serve, hosted))
        told = asked(hosted, load(hosted.settings, os.environ))
    except SettingsError as error:
        return _failed(str(error), 2)
    except (StorageError, PolicyError, OSError) as error:
        return _failed(f"{hosted.name}: {error}", 1)
    if told:
        print(told)  # noqa: T201  # for whoever gave the command
    return 0


def _failed(why: str, code: int) -> int:
    print(why, file=sys.stderr)  # noqa: T201  # logs are not set up, or not any more
    return code


async def _serve(hosted: Hosted, stop: Stop) -> None:
    settings = load(hosted.settings, os.environ)
    # The child's standard input ends with this process, and so does the child.
    child = migrate_in_child(["-m", hosted.package, "migrate"], os.environ | {PARENT: "0"})
    if await _done_before(stop, child):
        await _run(hosted, settings, stop)


async def _run(hosted: Hosted, settings: ServiceSettings, stop: Stop) -> None:
    takes_on = admission(Path(settings.policy), hosted.name) if settings.policy else AdmissionPolicy()
    events, health = Events(), Health()
    async with AsyncExitStack() as stack:
        observed = await stack.enter_async_context(
            setup(
                process=settings.process,
                service=hosted.name,
                events=events,
                log_level=settings.log_level,
                log_format=settings.log_format,
                otlp_endpoint=settings.otlp_endpoint,
            )
        )
        control = ControlPort(settings.control_port, settings.control_token)
        observed.steered_by(control)
        stop.steered_by(control)
        await stack.enter_async_context(control)
        tables = hosted.shape.table.metadata.tables
        database = await stack.enter_async_context(Database(settings.database, tables=tables))
        for engine in database.engines:
            trace_sql(engine)
        built = hosted.build(Ground(database, health, settings, events, observed.tracing))
        await stack.enter_async_context(beside(built.beside, stop))
        server = Server(
            [built.service],
            host=settings.host,
            port=settings.port,
            codec=Codec(),
            health=health,
            events=events,
            domain=DOMAIN,
            notice=settings.drain_notice,
            grace=GRACE,
            max_age=settings.max_connection_age or float("inf"),
            age_grace=AGE_GRACE,
            admission=takes_on,
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
        if stop.hurried:
            server.notice, server.grace = 0.0, HURRIED


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
