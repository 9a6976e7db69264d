"""Processes under load: started, told how to behave, stopped, killed, started again where they were."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import asdict, replace
from typing import Protocol

from benchmarks.work import Options

PATIENCE = 30.0  # seconds for a process to do what it is told; machines are busy


class Running(Protocol):
    """A replica, wherever it runs."""

    address: str

    async def start(self) -> None:
        """Returns once it serves, where it served before."""
        ...

    async def behave(self, **behaviour: object) -> dict[str, float]:
        """Changes what is named (`work.Behaviour`); returns once that holds, with its `state`."""
        ...

    def send(self, number: signal.Signals) -> None: ...

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal that ends it; returns once it has ended."""
        ...


class Stage(Protocol):
    """Makes replicas that run while its block is entered, all alike but for what they draw."""

    def __call__(self, count: int, options: Options) -> AbstractAsyncContextManager[Sequence[Running]]: ...


class Replica:
    """One process.

    Args:
        module: what is run, as `python -m`; it prints its address, and takes its options as JSON.

    Attributes:
        address: "host:port", the same after a restart.
    """

    def __init__(self, options: Options, module: str = "benchmarks.work") -> None:
        self._options, self._module = options, module
        self.address = ""
        self._running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            json.dumps(asdict(self._options)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self.address = await self._line()
        if not self.address:
            raise RuntimeError("a replica ended at its start; what it says is above")
        self._options = replace(self._options, port=int(self.address.rpartition(":")[2]))

    async def behave(self, **behaviour: object) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(behaviour).encode() + b"\n")
        state: dict[str, float] = json.loads(await self._line())
        return state

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._running is None:
            return
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            await self._process.wait()

    @property
    def _process(self) -> asyncio.subprocess.Process:
        assert self._running is not None
        return self._running

    async def _line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self._process.stdout.readline()).decode().strip()


@asynccontextmanager
async def replicas(
    count: int, options: Options | None = None, module: str = "benchmarks.work"
) -> AsyncIterator[list[Replica]]:
    """A stage of processes."""
    options = options or Options()
    async with AsyncExitStack() as running:
        made = [Replica(replace(options, seed=1_000 * options.seed + number), module) for number in range(count)]
        for replica in made:
            running.push_async_callback(replica.end)
        await asyncio.gather(*(replica.start() for replica in made))
        yield made
