"""The server: it listens, counts and keeps."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.fakes.relay.exchange import Exchange, Over, Taken
from tests.fakes.relay.faults import Fault, Planned, Point, Script


class FakeRelay:
    """Listens while entered.

    Args:
        script: what goes wrong; nothing when not given.
        tls: offers STARTTLS by it; with `at_once` every connection begins with it.
        users: passwords by name; where there are some, nobody sends without login.
        extensions: further lines of EHLO's answer.
        port: 0 for any.
        kept: called with each letter before the sender hears of it.

    Attributes:
        taken: all letters, in their order.
        connections: how many there were.
        commands: every command that came, in their order, with what came behind it.
        happened: how often which fault did.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        at_once: bool = False,
        users: Mapping[str, str] | None = None,
        extensions: Sequence[str] = ("8BITMIME", "SMTPUTF8", "SIZE 10000000", "ENHANCEDSTATUSCODES"),
        port: int = 0,
        kept: Callable[[Taken], None] = lambda letter: None,
    ) -> None:
        self.script: Script = script or Planned()
        self.tls: ssl.SSLContext | None = None if at_once else tls
        self._at_once = tls if at_once else None
        self.port, self._kept = port, kept
        self.users: Mapping[str, str] = users or {}
        self.extensions: Sequence[str] = extensions
        self.taken: list[Taken] = []
        self.connections = 0
        self.commands: list[str] = []
        self.happened: Counter[Fault] = Counter()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.back()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.away()

    async def back(self) -> None:
        """Listens, where it did before."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=2**26, ssl=self._at_once, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def away(self) -> None:
        """Nobody listens any more, and nobody is connected."""
        if self._server:
            self._server.close()
            self._server = None
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)

    @property
    def address(self) -> str:
        return f"smtp{'s' if self._at_once else ''}://127.0.0.1:{self.port}"

    @property
    def connected(self) -> int:
        """How many connections there are."""
        return len(self._open)

    def fault(self, point: Point) -> Fault | None:
        fault = self.script(point)
        if fault:
            self.happened[fault] += 1
        return fault

    def keep(self, letter: Taken) -> None:
        self.taken.append(letter)
        self._kept(letter)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._open.add(task)
        self.connections += 1
        try:
            with suppress(Over, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
                await Exchange(self, reader, writer, self.connections).run()
        finally:
            writer.transport.abort()
            self._open.discard(task)
