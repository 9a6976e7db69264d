"""The one stream that all processes' lines go to, each with its process's name before it."""

import queue
import threading
from collections.abc import Callable, Iterable
from typing import IO

from caremesh.terminal import coloured, harmless, paint

ME = "caremesh"  # the supervisor's own lines
WAITING = 5000  # lines held while the reader of the stream pauses (Ctrl-S, a slow pipe); further ones are counted
_PALETTE = ("cyan", "green", "yellow", "magenta", "blue")


class Stream:
    """Writes lines from a thread, so that a reader who pauses holds up no process.

    `broken` is called once, from that thread, when nobody reads any more.
    """

    def __init__(self, out: IO[str], names: list[str], broken: Callable[[], object]) -> None:
        self._out, self._broken, self._colours = out, broken, coloured(out)
        self._width = max(map(len, names), default=0)
        self._lines: queue.Queue[str | None] = queue.Queue(WAITING)
        self._dropped = 0
        self._palette = {name: _PALETTE[index % len(_PALETTE)] for index, name in enumerate(sorted(names))}
        self._palette.pop(ME, None)
        self._thread = threading.Thread(target=self._write, name="stream", daemon=True)
        self._thread.start()

    def line(self, name: str, text: str, colour: str = "") -> None:
        """Adds one line of a process (without a name: as it is, so that it can be copied whole); never waits."""
        prefix = paint(f"{name:<{self._width}} │ ", self._palette.get(name, "bold"), on=self._colours) if name else ""
        shown = harmless(_once(name, text))
        shown = paint(shown, colour, on=self._colours) if colour else shown
        try:
            self._lines.put_nowait(f"{prefix}{shown}\n")
        except queue.Full:
            self._dropped += 1

    def lines(self, texts: Iterable[str]) -> None:
        """Adds lines as they are."""
        for text in texts:
            self.line("", text)

    def close(self) -> None:
        """Writes what is left, for at most half a second."""
        try:
            self._lines.put(None, timeout=0.2)
        except queue.Full:
            return
        self._thread.join(timeout=0.3)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._dropped and self._lines.empty():
                line += f"… {self._dropped} lines are not shown: nobody read them in time\n"
                self._dropped = 0
            try:
                self._out.write(line)
                if self._lines.empty():
                    self._out.flush()
            except (OSError, ValueError):
                self._broken()
                return


def _once(name: str, text: str) -> str:
    """A log line names its process after the time; here the prefix has said it."""
    if not name:
        return text
    time, found, rest = text.partition(f" {name} ")
    return f"{time} {rest.lstrip()}" if found and " " not in time else text
