"""Starts the clinic on this machine and keeps it running until Ctrl-C.

Reads caremesh.toml: how many of each kind of process, on which ports, with which settings. A process that
dies is started again. Their lines come out as one stream, each with its process's name before it.
"""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path
from random import Random

from caremesh import config, state
from caremesh.preflight import problems
from caremesh.terminal import complain, uncaught
from caremesh.up.banner import banner
from caremesh.up.plan import Plan, plan
from caremesh.up.ports import Ports
from caremesh.up.stream import ME, Stream
from caremesh.up.supervisor import Supervisor

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(config.DEFAULT_FILE),
        metavar="FILE",
        help="which processes, where (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Starts, keeps, stops; 0 after an orderly end."""
    ports = Ports()
    try:
        settings = config.read(arguments.config)
        with state.locked(settings.data) as lock_fd:
            planned = plan(settings, ports, os.environ)
            if wrong := problems(settings, planned.environments):
                complain("\n".join(wrong))
                return 2
            return asyncio.run(_supervise(planned, settings.data, lock_fd))
    except config.ConfigError as error:
        complain(str(error))
        return 2
    except state.AlreadyRunning as error:
        complain(str(error))
        return 1
    except OSError as error:
        complain(f"cannot start: {error.strerror or error}{_on(error)}")
        return 1
    finally:
        ports.close()


def _on(error: OSError) -> str:
    return f" ({error.filename}); check that the folder exists and is yours" if error.filename else ""


async def _supervise(planned: Plan, data: Path, lock_fd: int) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(uncaught)
    names = [ME, *(spec.name for spec in planned.specs)]
    unread = asyncio.Event()
    stream = Stream(sys.stdout, names, lambda: loop.call_soon_threadsafe(unread.set))
    supervisor = Supervisor(planned, data, lock_fd, stream.line, Random())  # noqa: S311  # jitter is no secret
    for number in STOPPING:
        loop.add_signal_handler(number, supervisor.stop)
    leaving = asyncio.create_task(_leave(unread, supervisor))
    try:
        _tell_start(planned, stream)
        await supervisor.run(lambda ready: stream.lines(banner(ready)))
    finally:
        leaving.cancel()
        stream.close()
    return 1 if supervisor.failed else 0


async def _leave(unread: asyncio.Event, supervisor: Supervisor) -> None:
    """Nobody reads the stream any more (`| head` has ended): stop, as any program in a pipe does."""
    await unread.wait()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed there at exit
    supervisor.stop()


def _tell_start(planned: Plan, stream: Stream) -> None:
    for note in planned.notes:
        stream.line(ME, note, "yellow")
    stream.line(ME, f"starting {', '.join(f'{spec.name} on {spec.port}' for spec in planned.specs)}")
