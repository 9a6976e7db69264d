"""The whole clinic on one machine, as `caremesh up` runs it, asked over HTTP."""

import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Self

from benchmarks.replicas import PATIENCE
from mesh.transport import split_address

KINDS = ("registry", "mail-sink", "records", "prescriptions", "gateway")
CONFIG = "\n".join(f"[{kind}]\ncount = 1\nport = 0" for kind in KINDS)
READY = 2 * PATIENCE  # seconds for some five interpreters to start


class Answer(NamedTuple):
    """Names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """One connection that is kept: a request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader, self._writer, self._host = reader, writer, host

    @classmethod
    async def to(cls, address: str) -> Self:
        reader, writer = await asyncio.open_connection(*split_address(address))
        return cls(reader, writer, address)

    async def ask(self, verb: str, target: str, body: object = None, **headers: str) -> Answer:
        """An underscore in a header's name stands for a hyphen."""
        raw = b"" if body is None else json.dumps(body).encode()
        lines = [f"{verb} {target} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {len(raw)}"]
        lines += ["Content-Type: application/json"] if raw else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + raw)
        status, *rest = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        said = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
        return Answer(int(status.split()[1]), said, await self._reader.readexactly(int(said["content-length"])))

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def clinic() -> AsyncIterator[str]:
    """One of each process; gives the gateway's address."""
    with tempfile.TemporaryDirectory() as place:
        config = Path(place) / "caremesh.toml"
        config.write_text(CONFIG, encoding="utf-8")
        command = (sys.executable, "-m", "caremesh", "up", "--config", str(config))
        up = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=asyncio.subprocess.STDOUT)
        try:
            yield await _address(up)
        finally:
            up.terminate()
            draining = asyncio.ensure_future(up.communicate())
            await asyncio.wait({draining}, timeout=PATIENCE)
            if up.returncode is None:
                up.kill()


async def _address(up: asyncio.subprocess.Process) -> str:
    assert up.stdout is not None
    said = list[str]()
    try:
        async with asyncio.timeout(READY):
            while line := await up.stdout.readline():
                said.append(line.decode())
                _, found, url = said[-1].partition("listening on http://")
                if found:
                    address = url.split()[0]
                if "CareMesh is ready" in said[-1]:
                    return address
    except TimeoutError:
        pass
    raise RuntimeError("the clinic is not ready:\n" + "".join(said[-40:]))
