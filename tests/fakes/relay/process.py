"""The relay in a process of its own, started and stopped by a test."""

import base64
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.relay.exchange import Taken
from tests.stack import free_port


@dataclass
class RelayProcess:
    """Runs while entered; `away` and `back` in between. `per` exchanges one fault at each point; 0 for none.

    Attributes:
        happened: how often what went wrong, of those processes that were stopped.
    """

    folder: Path
    seed: str = "1"
    per: int = 0
    port: int = field(default_factory=free_port)
    happened: Counter[str] = field(default_factory=Counter, init=False)
    _running: subprocess.Popen[str] | None = field(default=None, init=False)
    _times: int = field(default=0, init=False)

    @property
    def address(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.back()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.away()

    def back(self) -> None:
        """Returns once it listens, where it did before; what goes wrong is drawn anew."""
        self._times += 1
        command = [sys.executable, "-m", "tests.fakes.relay", "--port", str(self.port), "--per", str(self.per)]
        command += ["--seed", f"{self.seed} {self._times}", "--letters", str(self.folder / "letters.jsonl")]
        self._running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
        assert self._running.stdout
        assert self._running.stdout.readline() == f"{self.port}\n"

    def away(self) -> None:
        """Nobody listens any more, and who was connected is cut off."""
        if self._running:
            self._running.terminate()
            told, _ = self._running.communicate(timeout=30)
            self._running = None
            self.happened.update(json.loads(told))

    @property
    def count(self) -> int:
        """How many letters were ever stored."""
        file = self.folder / "letters.jsonl"
        return file.read_bytes().count(b"\n") if file.exists() else 0

    def letters(self) -> Sequence[Taken]:
        """All letters that were ever stored, in their order."""
        file = self.folder / "letters.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [_read(json.loads(line)) for line in lines]


def _read(found: dict[str, object]) -> Taken:
    content = base64.b64decode(str(found["content"]))
    recipients = tuple(map(str, list(found["recipients"])))  # type: ignore[call-overload]  # a list of JSON
    return Taken(str(found["sender"]), recipients, content, 0, bool(found["confirmed"]))
