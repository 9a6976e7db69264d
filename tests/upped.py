"""`caremesh up` as a process of its own, on free ports and its own data."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from caremesh import state
from tests.fakes.waiting import wait_until

COMMAND = (sys.executable, "-m", "caremesh")
READY = 60  # seconds; a busy machine starts a dozen interpreters for it
HOUSE = Path(__file__).parents[1]


class Up:
    """Started on entering, without waiting; ended on leaving, whatever became of it.

    Attributes:
        lines: what it has printed so far.
        written: how many writes its gateways have answered with 201.
    """

    def __init__(
        self, place: Path, *, port: int = 0, gateways: int = 1, databases: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.config, self.data = place / "caremesh.toml", place / "var"
        kinds = {"registry": 1, "mail-sink": 1, "records": 2, "prescriptions": 2, "gateway": gateways}
        tables = [
            f"[{kind}]\ncount = {count}\nport = {port if kind == 'gateway' else 0}" for kind, count in kinds.items()
        ]
        tables += [f'[{kind}.environment]\nCAREMESH_DATABASE = "{place}"' for kind, place in databases.items()]
        self.config.write_text("\n".join(tables), encoding="utf-8")
        self.lines: list[str] = []
        self.written = 0

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [*COMMAND, "up", "--config", str(self.config)],
            cwd=HOUSE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._reader.join(5)
        if self.process.stdout:
            self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.written += "POST /" in line and " 201 " in line

    def ready(self) -> Self:
        """Waits until it says so."""
        try:
            wait_until(lambda: "CareMesh is ready" in self.lines or self.process.poll() is not None, READY)
            wait_until(lambda: any("Ctrl-C stops" in line for line in self.lines), 5)
        except TimeoutError:
            raise AssertionError("not ready:\n" + "\n".join(self.lines[-60:])) from None
        return self

    @property
    def state(self) -> state.State:
        """What its state file says."""
        told = state.read(self.data)
        assert told is not None
        return told

    @property
    def gateway(self) -> str:
        """The first gateway's URL."""
        return self.state.gateway

    def pid(self, name: str) -> int:
        """The pid of one of its processes; 0 while it is down."""
        return next(one.pid or 0 for one in self.state.processes if one.name == name)

    def pids(self) -> list[int]:
        """Those of all its processes."""
        return [one.pid for one in self.state.processes if one.pid]

    def kill(self, name: str) -> int:
        """SIGKILL to one of its processes; gives the pid it had."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def interrupt(self) -> int:
        """Ctrl-C; gives the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(10)
        self._reader.join(5)
        return code

    def said(self, pattern: str) -> bool:
        """Whether some line matches."""
        return any(re.search(pattern, line) for line in self.lines)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Another `caremesh` command, on the same configuration."""
        line = [*COMMAND, *arguments, "--config", str(self.config)]
        return subprocess.run(line, cwd=HOUSE, capture_output=True, text=True, timeout=300, check=False)


def get(url: str) -> Any:
    """The JSON there; HTTPError unless 2xx."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def healthy(running: Up) -> bool:
    """Whether each gateway sees both replicas of both services at work."""
    gateways = [one for one in running.state.processes if one.kind == "gateway"]
    try:
        told = [get(f"http://{one.address}/health") for one in gateways]
    except OSError:
        return False
    return all(len(s["endpoints"]) == 2 and s["state"] == "up" for one in told for s in one["services"])


def posted(gateway: str, text: str) -> int:
    """Writes a record; gives the status, 0 without an answer."""
    body = json.dumps({"patient_id": 31, "doctor_id": 1, "record_text": text, "date": "2025-01-01"}).encode()
    request = urllib.request.Request(f"{gateway}/records", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
