"""A Redis server of the tests' own, on a port of its own."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.fakes.absence import cannot_run
from tests.fakes.waiting import wait_until
from tests.stack import free_port

REMEDY = "install redis-server (Debian: apt-get install redis-server)"


@dataclass
class RedisServer:
    """Keeps nothing on disk: what is killed comes back empty."""

    program: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([self.program, *options], stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """It takes connections and bytes, and answers nothing."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def ask(self, *words: str) -> bytes:
        """What one command is answered, as bytes of the wire."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as caller:
            caller.sendall(" ".join(words).encode() + b"\r\n")
            return caller.recv(65536)

    def _answers(self) -> bool:
        try:
            return self.ask("PING").startswith(b"+PONG")
        except OSError:
            return False


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A server of one's own; skips the test where none is installed."""
    program = shutil.which("redis-server", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if not program:
        cannot_run("what is shared in Redis", REMEDY)
    server = RedisServer(program)
    server.start()
    try:
        yield server
    finally:
        server.kill()
