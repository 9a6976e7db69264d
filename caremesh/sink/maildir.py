"""Letters as files: a Maildir, in which a letter is whole or not there.

A letter is written into `tmp` and gets its name in `new` when all of it is on the disk. Its name begins with the time
of its coming, so that names sort by it. Source: https://cr.yp.to/proto/maildir.html.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from storage.folders import make, sync

ABANDONED = 36 * 3600  # seconds; what was not finished by then never will be
FOLDERS = ("tmp", "new", "cur")


class Maildir:
    """A folder of letters.

    Args:
        folder: made by `prepare`; reading needs no preparation.
        now: seconds since the epoch.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self.folder, self._now = folder, now

    def prepare(self) -> None:
        """Makes the folders, for their owner only, and removes what a sink that was killed did not finish.

        Raises:
            OSError: they cannot be made.
        """
        make(self.folder)
        for name in FOLDERS:
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        sync(self.folder)
        for path in (self.folder / "tmp").iterdir():
            with suppress(FileNotFoundError):  # another sink was faster
                if self._now() - path.stat().st_mtime > ABANDONED:
                    path.unlink()

    def add(self, letter: bytes) -> None:
        """Stores a letter. When this returns, it is there whatever dies.

        Raises:
            OSError: it is not stored, and nothing is left of it.
        """
        name = self._name()
        part, whole = self.folder / "tmp" / name, self.folder / "new" / name
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(letter)
                file.flush()
                os.fsync(file.fileno())
            part.rename(whole)
            sync(whole.parent)
        except OSError:
            for path in (part, whole):
                with suppress(OSError):
                    path.unlink()
            raise

    def letters(self) -> list[Path]:
        """The letters in the order of their coming; none where there is no such folder."""
        return sorted(self._files(), key=lambda path: path.name)

    def _files(self) -> Iterator[Path]:
        for name in ("new", "cur"):
            with suppress(FileNotFoundError):
                yield from (path for path in (self.folder / name).iterdir() if not path.name.startswith("."))

    def _name(self) -> str:
        seconds, micros = divmod(int(self._now() * 1_000_000), 1_000_000)
        return f"{seconds}.M{micros:06}P{os.getpid()}R{secrets.token_hex(4)}.caremesh"


def came(letter: Path) -> datetime:
    """When a letter came, in UTC; of a file that another program put there: when it was written."""
    seconds, _, rest = letter.name.partition(".")
    micros = rest[1:7] if rest.startswith("M") else ""
    if seconds.isascii() and seconds.isdigit() and micros.isascii() and micros.isdigit():
        return datetime.fromtimestamp(int(seconds) + int(micros) / 1e6, UTC)
    return datetime.fromtimestamp(letter.stat().st_mtime, UTC)
