"""Catches what Python would print with its text: exceptions that nobody caught, wherever they come up."""

import asyncio
import logging
import sys
import threading
import warnings
from typing import Any

from observability.logs import chain

log = logging.getLogger("observability.uncaught")

# asyncio's and uvloop's own words; their other messages hold the repr of a callback and its arguments.
_WORDS = frozenset(
    {
        "Task exception was never retrieved",
        "Future exception was never retrieved",
        "Task was destroyed but it is pending!",
        "Unhandled exception during asyncio.run() shutdown",
        "Unhandled error in exception handler",
        "SSL handshake failed",
    }
)


class Hooks:
    """Puts our hooks in the interpreter's place while started, and the loop's exception handler."""

    def start(self) -> None:
        self._before = sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning
        sys.excepthook = lambda _kind, error, _trace: _told("the process ends", error)
        threading.excepthook = lambda args: _told(f"the thread {args.thread and args.thread.name} ends", args.exc_value)
        sys.unraisablehook = lambda args: _told("an exception in a finalizer", args.exc_value)
        warnings.showwarning = _warned
        try:
            asyncio.get_running_loop().set_exception_handler(unhandled)
        except RuntimeError:
            return  # started before the loop; `watch_loop` follows

    def stop(self, error: BaseException | None) -> None:
        """Gives the hooks back, unless an exception is leaving that the interpreter would print with its text."""
        hook, threads, unraisable, show = self._before
        threading.excepthook, sys.unraisablehook, warnings.showwarning = threads, unraisable, show
        if not isinstance(error, Exception):
            sys.excepthook = hook


def unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An event loop's exception handler: type and place only."""
    message = str(context.get("message", ""))
    _told(message if message in _WORDS else "an exception in a callback", context.get("exception"))


def _told(what: str, error: BaseException | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        return
    log.error("%s: %s", what, chain(error) if error else "no exception was given")


def _warned(
    message: Any, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    del message, file, line  # the interpreter's signature; the text may hold what a client sent
    log.warning("%s at %s:%d", category.__name__, filename.rpartition("/")[2], lineno)
