"""How commands speak: colours in a terminal, plain lines in a pipe, complaints on stderr."""

import os
import re
import sys
from typing import IO, Any

COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36, "bold": 1, "dim": 2}
# C0 but the tab, DEL, C1: what could move a terminal's cursor or break a line in two.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def coloured(stream: IO[str]) -> bool:
    """Whether colours make sense there: a terminal, and nobody said no (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, *, on: bool) -> str:
    """The text in a colour when `on`, else as it is."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if on else text


def harmless(text: str) -> str:
    """The text with control characters made visible: what a process prints must not steer the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def complain(text: str) -> None:
    """Says it on stderr, in red in a terminal."""
    sys.stderr.write(paint(text, "red", on=coloured(sys.stderr)) + "\n")
    sys.stderr.flush()


def say(text: str, colour: str = "") -> None:
    """Says it on stdout, in a colour in a terminal."""
    sys.stdout.write(paint(text, colour, on=bool(colour) and coloured(sys.stdout)) + "\n")
    sys.stdout.flush()


def untold(error: BaseException | None) -> str:
    """An exception by type and place: its text may hold patient data."""
    from observability.logs import chain  # hardly ever needed, and it costs a tenth of a second to import

    return chain(error) if error else "no exception was given"


def uncaught(_loop: object, context: dict[str, Any]) -> None:
    """An event loop's exception handler: what no task caught, without its text."""
    complain(f"caremesh: nobody caught {untold(context.get('exception'))}; this is a defect of caremesh")
