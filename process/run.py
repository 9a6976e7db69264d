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

from process.settings import SettingsError

PARENT = "CAREMESH_PARENT_FD"
ORPHAN_GRACE = 0.25  # seconds for an orderly end once the parent is gone; the rest of 1 s is for the exit itself

Main = Callable[[asyncio.Event], Awaitable[None]]


def run(main: Main) -> int:
    """Runs `main`, which ends when the event it is given is set. Returns the exit code: 2 for wrong settings.

    SIGTERM and SIGINT set the event; a second one exits at once. When the file descriptor named by
    CAREMESH_PARENT_FD reaches its end, the parent is gone: the event is set and the process ends
    within 1 s, even when its loop is stuck.
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
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, stop, number)
    watch_parent(lambda: loop.call_soon_threadsafe(stop.set))
    await main(stop)


def _stop(stop: asyncio.Event, number: int) -> None:
    if stop.is_set():
        os._exit(128 + number)
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
