"""The clinic as real processes on free ports: registry, services, gateway. For tests that nothing less can make."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.fakes.waiting import wait_until

PACKAGES = {
    "registry": "caremesh.registry",
    "records": "svc_records",
    "prescriptions": "svc_prescriptions",
    "gateway": "gateway",
}
START = 120.0
"""Seconds until all of it must serve; migrations run in it, and test machines are busy."""


@dataclass
class Process:
    """One process: its log, and how to start, stop and kill it."""

    name: str
    package: str
    environment: Mapping[str, str]
    log: Path
    pipe: int
    running: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        environment = {**os.environ, **self.environment, "CAREMESH_PARENT_FD": str(self.pipe)}
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", self.package],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self.pipe,),
            )

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; SIGKILL and SIGTERM are waited for."""
        assert self.running
        self.running.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.running.wait(10)

    @property
    def told(self) -> str:
        """All that it has logged."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""


class Stack:
    """Runs while entered.

    Args:
        folder: for databases and logs.
        replicas: processes of each service.
        gateways: how many.
        settings: environment variables for all of them, such as an OTLP endpoint.
        databases: addresses by service, "records" and "prescriptions"; SQLite files in `folder` when not given.

    Attributes:
        url: of the first gateway, "http://127.0.0.1:…"; `urls` of them all.
        registry: "host:port".
        processes: by name: "registry", "records.1", "prescriptions.1", "gateway.1".
    """

    def __init__(
        self,
        folder: Path,
        *,
        replicas: int = 1,
        gateways: int = 1,
        settings: Mapping[str, str] | None = None,
        databases: Mapping[str, str] | None = None,
    ) -> None:
        self._folder, self._settings, self._exits = folder, dict(settings or {}), ExitStack()
        self._replicas = replicas
        registry, *ports = (free_port() for _ in range(1 + gateways))
        self.registry, self.urls = f"127.0.0.1:{registry}", [f"http://127.0.0.1:{port}" for port in ports]
        self.url = self.urls[0]
        # Children end when the last copy of the writing end is closed: with this process, whatever ends it.
        reading, writing = os.pipe()
        self._exits.callback(os.close, writing)
        self._exits.callback(os.close, reading)
        self._pipe = reading
        self.processes: dict[str, Process] = {}
        self._add("registry", "registry", {"CAREMESH_PORT": str(registry)})
        files = {name: f"sqlite:///{folder / name}.db" for name in ("records", "prescriptions")}
        for number in range(1, replicas + 1):
            for name, database in {**files, **(databases or {})}.items():
                self._add(f"{name}.{number}", name, {"CAREMESH_PORT": "0", "CAREMESH_DATABASE": database})
        for number, port in enumerate(ports, 1):
            self._add(f"gateway.{number}", "gateway", {"CAREMESH_PORT": str(port), "CAREMESH_GATEWAYS": str(gateways)})

    def _add(self, name: str, kind: str, environment: dict[str, str]) -> None:
        common = {"CAREMESH_REGISTRIES": self.registry, "CAREMESH_PROCESS": name, **self._settings}
        self.processes[name] = Process(
            name, PACKAGES[kind], {**common, **environment}, self._folder / f"{name}.log", self._pipe
        )

    def __enter__(self) -> Self:
        try:
            for process in self.processes.values():
                process.start()
            self.wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self.processes.values()):
            if process.running:
                process.running.kill()
                process.running.wait(10)
        self._exits.close()

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """One request to the gateway: its status, and its body where that is JSON."""
        sent = None if body is None else json.dumps(body).encode()
        told = {"Content-Type": "application/json"} if sent else {}
        request = urllib.request.Request(self.url + path, sent, {**told, **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return int(answer.status), json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            with error:
                return int(error.code), json.loads(error.read() or "null")

    @property
    def told(self) -> str:
        """All that all of them have logged."""
        return "".join(process.told for process in self.processes.values())

    def wait_until_ready(self, seconds: float = START) -> None:
        """Returns once the gateway answers /readyz with 200 and knows every replica; waits so long at most.

        Raises:
            TimeoutError: with what the processes logged.
        """
        try:
            wait_until(self._ready, seconds)
        except TimeoutError:
            logs = "\n".join(f"== {name}\n{process.told[-1500:]}" for name, process in self.processes.items())
            raise TimeoutError(f"the stack is not ready\n{logs}") from None

    def _ready(self) -> bool:
        ready = all(get(f"{url}/readyz")[0] == 200 for url in self.urls)
        return ready and self.serving() == 2 * self._replicas

    def serving(self) -> int:
        """How many replicas the gateway finds at work."""
        services = self.health()["services"]
        return sum(one["available"] and one["probe"] == "serving" for each in services for one in each["endpoints"])

    def endpoints(self, service: str) -> list[str]:
        """The addresses that the gateway knows of a service."""
        services = {each["service"]: each["endpoints"] for each in self.health()["services"]}
        return [str(one["address"]) for one in services[service]]

    def health(self) -> Any:
        """What /health tells, whatever its status."""
        return json.loads(get(f"{self.url}/health")[1])


def get(url: str) -> tuple[int, bytes]:
    """Status and body of a GET; status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code), error.read()
    except OSError:
        return 0, b""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests that share it. Mark them `xdist_group("stack")`, so that one worker starts it."""
    with Stack(tmp_path_factory.mktemp("stack"), replicas=1) as running:
        yield running
