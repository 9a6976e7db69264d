"""Runs a process until it is told to stop: by a signal, or because the process that started it is gone."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import NoReturn

import uvloop

from process.control import Arguments, ControlPort
from process.settings import SettingsError

PARENT = "CAREMESH_PARENT_FD"
HURRIED = (signal.SIGINT, signal.SIGUSR1)
"""A person's Ctrl-C; and what a supervisor sends, since SIGINT would have Python tell where in its start it is."""
ORPHAN_GRACE = 0.25  # seconds for an orderly end once the parent is gone; the rest of 1 s is for the exit itself


class Stop(asyncio.Event):
    """Set when the process shall end.

    Attributes:
        hurried: whether nobody is to be given notice: what is in flight is finished, and that is all.
    """

    hurried = False

    def hurry(self) -> None:
        """Sets it so."""
        self.hurried = True
        self.set()

    def steered_by(self, control: ControlPort) -> None:
        """`POST /drain` sets it, as SIGTERM does."""

        async def drain(_: Arguments) -> dict[str, bool]:
            self.set()
            return {"draining": True}

        control.on("POST", "/drain", drain)


Main = Callable[[Stop], Awaitable[None]]


def run(main: Main) -> int:
    """Runs `main`, which ends when the event it is given is set. Returns the exit code: 2 for wrong settings.

    SIGTERM sets the event; SIGINT and SIGUSR1 set it and hurry; a second signal exits at once. When the file
    descriptor named by CAREMESH_PARENT_FD reaches its end, the parent is gone: the event is set in a hurry and
    the process ends within 1 s, even when its loop is stuck.
    """
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_stopped(main))
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201  # no log is set up yet
        return 2
    except OSError as error:  # a port that is taken now and may be free at the next start
        print(error.strerror or error, file=sys.stderr)  # noqa: T201  # logs are not set up any more
        return 1
    return 0


def leave(code: int) -> NoReturn:
    """Ends the process with this exit code, once `run` has ended and what was printed is flushed.

    Without taking the interpreter apart: that costs a process of the clinic 0.1 s of CPU, all of them do it at
    the same time, and from its beginning on no thread can keep the promise of 1 s any more.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


async def _until_stopped(main: Main) -> None:
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, *HURRIED):
        loop.add_signal_handler(number, _stop, stop, number)
    watch_parent(lambda: loop.call_soon_threadsafe(stop.hurry))
    await main(stop)


def _stop(stop: Stop, number: int) -> None:
    if stop.is_set():
        os._exit(128 + number)
    if number in HURRIED:
        stop.hurry()
    stop.set()


def watch_parent(gone: Callable[[], object]) -> None:
    """Calls `gone` from a thread when the parent has ended, and ends this process soon after."""
    descriptor = os.environ.get(PARENT)
    if descriptor is None:
        return
    thread = threading.Thread(target=_watch, args=(int(descriptor), gone), name="parent-watch", daemon=True)
    thread.start()


def _watch(descriptor: int, gone: Callable[[], object]) -> None:
    # A thread, since a stuck loop could neither read the pipe nor end the process.
    while os.read(descriptor, 1):
        pass
    try:
        gone()
    except RuntimeError:  # the loop has closed already
        return
    threading.Event().wait(ORPHAN_GRACE)
    os._exit(1)
