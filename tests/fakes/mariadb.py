"""A MariaDB server of the tests' own, in a folder of its own, for as long as a test session lasts."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pymysql  # type: ignore[import-untyped]

from tests.fakes.absence import cannot_run
from tests.stack import free_port

REMEDY = "install mariadb-server (Debian: apt-get install mariadb-server)"
SBIN = "/usr/sbin"
PASSWORD = "p@ss/w:rd %"  # what an address has to escape
QUOTED = "p%40ss%2Fw%3Ard%20%25"
# Small and quick, and as durable as a clinic's.
SMALL = (
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=64M",
    "--innodb-data-file-path=ibdata1:4M:autoextend",
    "--innodb-flush-log-at-trx-commit=1",
    "--performance-schema=OFF",
    "--skip-name-resolve",
    "--max-allowed-packet=16M",
    "--max-connections=300",
)

_names = count(1)


@dataclass
class MariaDB:
    """A running server; root without a password over its socket, `clinic` over TCP.

    Attributes:
        process: ends and is started anew under tests that say so.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def sql(self, *statements: str, database: str | None = None) -> list[tuple[object, ...]]:
        """Runs statements as root, each committed; returns the last one's rows."""
        connection = pymysql.connect(
            unix_socket=str(self.folder / "s"), user="root", database=database, autocommit=True, charset="utf8mb4"
        )
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    @contextmanager
    def holding(self, statement: str) -> Iterator[None]:
        """What a statement of root's holds, such as a lock, is held while the block lasts."""
        with pymysql.connect(unix_socket=str(self.folder / "s"), user="root") as connection:
            connection.cursor().execute(statement)
            yield

    @contextmanager
    def database(self, letters: str = "latin1") -> Iterator[str]:
        """The address of an empty database; its default letters are the server's worst, as on many servers."""
        name = f"clinic_{os.getpid()}_{next(_names)}"
        self.sql(f"CREATE DATABASE {name} CHARACTER SET {letters}", f"GRANT ALL ON {name}.* TO clinic")
        try:
            yield f"mysql://clinic:{QUOTED}@127.0.0.1:{self.port}/{name}"
        finally:
            self.sql(f"DROP DATABASE {name}")

    @contextmanager
    def other_user(self, address: str) -> Iterator[str]:
        """The same database by the name of a user of its own, who does not see what others do."""
        name, database = f"other_{next(_names)}", address.rpartition("/")[2]
        self.sql(f"CREATE USER {name} IDENTIFIED BY '{PASSWORD}'", f"GRANT ALL ON {database}.* TO {name}")
        try:
            yield address.replace("//clinic:", f"//{name}:")
        finally:
            self.sql(f"DROP USER {name}")

    def start(self, *options: str) -> None:
        """Starts it again, where it was; `options` overrule its usual ones."""
        self.process = _started(self.folder, self.port, *options)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@contextmanager
def mariadb() -> Iterator[MariaDB]:
    """A server of one's own; skips the test where none is installed."""
    program = shutil.which("mariadbd", path=os.pathsep.join([os.environ.get("PATH", ""), SBIN]))
    install = shutil.which("mariadb-install-db")
    if not program or not install:
        cannot_run("every data test on MariaDB", REMEDY)
    with tempfile.TemporaryDirectory(prefix="mariadb-") as made:  # a short path: a socket's has 108 bytes
        folder = Path(made)
        (folder / "tmp").mkdir()  # servers that share one take each other's temporary tables away
        how = [
            f"--tmpdir={folder / 'tmp'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *_who(),
            *SMALL,
        ]
        command = [install, "--no-defaults", f"--datadir={folder / 'data'}", *how]
        made_it = subprocess.run(command, check=False, capture_output=True, text=True)
        assert made_it.returncode == 0, made_it.stdout + made_it.stderr
        port = free_port()
        server = MariaDB(folder, port, _started(folder, port))
        try:
            server.sql(f"CREATE USER clinic IDENTIFIED BY '{PASSWORD}'")
            yield server
        finally:
            server.kill()


def _who() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _started(folder: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    program = shutil.which("mariadbd", path=os.pathsep.join([os.environ.get("PATH", ""), SBIN]))
    where = [f"--datadir={folder / 'data'}", f"--socket={folder / 's'}", f"--port={port}", "--bind-address=127.0.0.1"]
    where.append(f"--tmpdir={folder / 'tmp'}")
    with (folder / "log").open("ab") as log:
        command = [str(program), "--no-defaults", *where, *_who(), *SMALL, *options]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    ends = time.monotonic() + 60
    while True:
        if _answers(folder / "s"):
            return process
        if process.poll() is not None or time.monotonic() > ends:
            raise RuntimeError((folder / "log").read_text())
        time.sleep(0.05)


def _answers(path: Path) -> bool:
    """Whether a server greets whoever connects."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(5)
        try:
            caller.connect(str(path))
            return bool(caller.recv(1))
        except OSError:
            return False
