"""The clinic's real processes on free ports of 127.0.0.1, started by a test one by one."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.fakes.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
MODULES = {
    "registry": "caremesh.registry",
    "records": "svc_records",
    "prescriptions": "svc_prescriptions",
    "gateway": "gateway",
}


@dataclass
class Processes:
    """Starts what it is asked for, ends all of it when its block is left.

    Attributes:
        folder: databases and outputs lie here.
        environ: settings for every process.
        ports: where each kind listens.
    """

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        # A socket that is bound and does not listen keeps its port for servers, which bind it with SO_REUSEADDR.
        self._held = [socket.socket() for _ in MODULES]
        for kind, one in zip(MODULES, self._held, strict=True):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", 0))
            self.ports[kind] = one.getsockname()[1]
        self._running: list[subprocess.Popen[bytes]] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for one in self._held:
            one.close()

    def address(self, kind: str) -> str:
        return f"127.0.0.1:{self.ports[kind]}"

    def start(self, *kinds: str) -> None:
        """Starts them, and returns once each of them answers."""
        for kind in kinds:
            self._start(kind)
        for kind in kinds:
            wait_until(partial(self._listens, kind), 30)
        if "gateway" in kinds:
            wait_until(lambda: self.ask("GET", "/readyz")[0] == 200, 30)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """One request to the gateway: status and body, parsed where it is JSON."""
        connection = HTTPConnection("127.0.0.1", self.ports["gateway"], timeout=10)
        try:
            sent = None if body is None else json.dumps(body).encode()
            connection.request(method, path, sent, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content[:1] in (b"{", b"[") else content
        except (OSError, HTTPException) as error:
            return 0, error
        finally:
            connection.close()

    def output(self) -> str:
        """All that all processes have printed so far."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def _start(self, kind: str) -> None:
        settings = {
            "CAREMESH_PORT": str(self.ports[kind]),
            "CAREMESH_PROCESS": f"{kind}.1",
            "CAREMESH_REGISTRIES": self.address("registry"),
            "CAREMESH_DATABASE": f"sqlite:///{self.folder / kind}.db",
        }
        with (self.folder / f"{kind}.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", MODULES[kind]],
                cwd=ROOT,
                env={**os.environ, **settings, **self.environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._running.append(process)

    def _listens(self, kind: str) -> bool:
        assert all(process.poll() is None for process in self._running), self.output()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[kind])) == 0
