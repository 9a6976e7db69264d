"""What `backup` and `restore` share: which databases, how failures are told, how they are interrupted."""

import argparse
import asyncio
import contextlib
import importlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

from caremesh import config, preflight
from caremesh.config import KINDS, Config
from caremesh.endings import INTERRUPTED, Refused
from caremesh.state import AlreadyRunning
from caremesh.terminal import complain, say
from caremesh.up.plan import DATABASES, environments
from hosting.commands import store
from process.settings import SettingsError, load
from storage.backup import Store
from storage.copies import Copy
from storage.errors import OutcomeUnknown, StorageError, Unavailable

REMEDIES = {
    Unavailable: "; `caremesh doctor` looks for what is wrong",
    OutcomeUnknown: "; look at what is there, and do it again",
}

Work = Callable[[Config, Sequence[Store]], Awaitable[None]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the argument that both have."""
    parser.add_argument(
        "--config", type=Path, default=Path(config.DEFAULT_FILE), metavar="FILE", help="(default: %(default)s)"
    )


def run(what: str, file: Path, work: Work) -> int:
    """Does it with the databases that the file names; returns the exit code."""
    try:
        settings = config.read(file)
        asyncio.run(_interruptible(work, settings, stores(settings, os.environ)))
    except (config.ConfigError, SettingsError) as error:
        complain(str(error))
        return 2
    except (Refused, AlreadyRunning) as error:
        complain(f"{what}: {error}")
        return 1
    except OSError as error:
        complain(f"{what}: {error.filename or 'a file'}: {error.strerror}; check its name, its permissions, its disk")
        return 1
    except asyncio.CancelledError:
        complain(f"{what}: interrupted")
        return INTERRUPTED
    return 0


def stores(settings: Config, environ: Mapping[str, str]) -> list[Store]:
    """The database of each service, as its processes are told.

    Raises:
        SettingsError: naming every setting that a service would not take.
    """
    found = environments(settings, environ)
    told = {kind: found[kind] for kind in DATABASES}
    if wrong := preflight.problems(settings, told):
        raise SettingsError("\n".join(wrong))
    services = {kind: importlib.import_module(f"{KINDS[kind]}.wiring").hosted() for kind in told}
    return [store(hosted, load(hosted.settings, told[kind])) for kind, hosted in services.items()]


@contextlib.contextmanager
def named(service: str) -> Iterator[None]:
    """What a database refuses is told with its service's name. Raises Refused."""
    try:
        yield
    except StorageError as error:
        raise Refused(f"{service}: {error}{REMEDIES.get(type(error), '')}") from error


def tell(copies: Mapping[Path, Copy]) -> None:
    """A line for each copy."""
    for path, copy in copies.items():
        rows, size = f"{copy.rows:,} rows", f"{path.stat().st_size:,} bytes"
        say(f"  {copy.label.service:<14}{rows:>14}{size:>20}   schema {copy.label.schema}")


async def _interruptible(work: Work, settings: Config, found: Sequence[Store]) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)  # type: ignore[union-attr]  # this is a task
    await work(settings, found)
