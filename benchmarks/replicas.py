"""Processes under load: started, told how to behave, stopped, killed, started again where they were."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, replace

from benchmarks.work import Options

PATIENCE = 30.0  # seconds for a process to do what it is told; machines are busy


class Replica:
    """One process while its block is entered.

    Attributes:
        address: "host:port", the same after a restart.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()
        self.address = ""
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        """Returns once it serves."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.work",
            json.dumps(asdict(self._options)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self.address = await self._line()
        if not self.address:
            raise RuntimeError("a replica ended at its start; what it says is above")
        self._options = replace(self._options, port=int(self.address.rpartition(":")[2]))

    async def behave(self, **behaviour: object) -> None:
        """Changes what is named (`work.Behaviour`); returns once that holds."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(behaviour).encode() + b"\n")
        await self._line()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal that ends it; returns once it has ended."""
        if self._process.returncode is None:
            self._process.send_signal(number)
            if number is signal.SIGKILL:
                self._process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(PATIENCE):
            await self._process.wait()

    async def _line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self._process.stdout.readline()).decode().strip()


@asynccontextmanager
async def replicas(count: int, options: Options | None = None) -> AsyncIterator[list[Replica]]:
    """So many replicas, all alike but for what they draw."""
    options = options or Options()
    async with AsyncExitStack() as running:
        made = []
        for number in range(count):
            replica = Replica(replace(options, seed=options.seed * 1_000 + number))
            await replica.start()
            running.push_async_callback(replica.end)
            made.append(replica)
        yield made
