"""Takes letters over SMTP, and stores each before it says so."""

import asyncio
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, Envelope

LARGEST = 10 * 2**20  # bytes of a letter, with its headers
MANY = 10_000  # letters, at which it is said that they only become more; and again at each further so many
IDLE = 60.0  # seconds without a command, after which a connection is closed
GRACE = 0.25  # seconds at the end for a letter that is coming in
NAME = "localhost"  # what it calls itself: asking for the machine's own name may take seconds

NOT_STORED = "452 4.3.1 not stored, try again later"
STORED = "250 2.0.0 stored"
FAILED = "451 4.3.0 the sink failed on this command, try again later"

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")

log = logging.getLogger(__name__)

Store = Callable[[bytes], object]
"""Stores a letter for good, or raises OSError. It may block: it is called in a thread."""


class Sink:
    """Listens from entering to leaving; leaving takes at most GRACE.

    Args:
        store: where letters go.
        stored: how many are there already.
        host: the address to listen on.
        port: 0 takes a free one.
    """

    def __init__(self, store: Store, *, stored: int = 0, host: str = "127.0.0.1", port: int = 0) -> None:
        self._store, self._stored, self._host, self._port = store, stored, host, port
        self._connections: set[_Connection] = set()
        self._coming = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.address = ""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Connection(self, loop), self._host, self._port)
        except OSError as error:
            told = f"cannot listen on {self._host}:{self._port} ({_why(error)}); choose a free port"
            raise OSError(error.errno, told) from None
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._tell_many()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        try:
            async with asyncio.timeout(GRACE):
                await self._idle.wait()
        except TimeoutError:
            log.warning("ended while a letter was coming in; whoever sent it was not told that it is stored")
        for connection in list(self._connections):
            connection.end()

    # What aiosmtpd calls: its handler's methods have these names.

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Envelope) -> str:  # noqa: N802
        letter = _delivered(envelope)
        try:
            await asyncio.to_thread(self._store, letter)
        except OSError as error:
            log.warning("a letter of %d bytes cannot be stored (%s), and was not taken", len(letter), _why(error))
            return NOT_STORED
        self._stored += 1
        log.info("stored a letter of %d bytes; it is number %d", len(letter), self._stored)
        if self._stored % MANY == 0:
            self._tell_many()
        return STORED

    async def handle_exception(self, error: Exception) -> str:
        log.warning("a command failed: %s", error)
        return FAILED

    @contextmanager
    def coming(self) -> Iterator[None]:
        """While a letter comes in."""
        self._coming += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._coming -= 1
            if not self._coming:
                self._idle.set()

    def met(self, connection: "_Connection") -> None:
        """A connection was made."""
        self._connections.add(connection)

    def lost(self, connection: "_Connection") -> None:
        """It has ended."""
        self._connections.discard(connection)

    def _tell_many(self) -> None:
        if self._stored >= MANY:
            log.warning("the inbox holds %d letters, and nothing removes them; move some of them away", self._stored)


class _Connection(SMTP):
    """aiosmtpd's protocol, known to its sink: so it can be ended, and waited for while a letter comes in."""

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            sink, data_size_limit=LARGEST, enable_SMTPUTF8=True, hostname=NAME, ident="CareMesh sink", timeout=IDLE,
            loop=loop,
        )  # fmt: skip
        self._sink = sink

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._sink.met(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._sink.lost(self)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  # aiosmtpd finds commands by these names
        with self._sink.coming():
            await super().smtp_DATA(arg)

    def end(self) -> None:
        """Closes it, once what was answered is sent."""
        if self.transport is not None:
            self.transport.close()


def _delivered(envelope: Envelope) -> bytes:
    """A letter with the addresses that it was sent by, as RFC 5321, 4.4 wants it of who stores it for good."""
    content: Any = envelope.content
    recipients = [_header(b"Delivered-To", address) for address in envelope.rcpt_tos]
    return b"".join([_header(b"Return-Path", f"<{envelope.mail_from}>"), *recipients, content])


def _header(name: bytes, address: str) -> bytes:
    return name + b": " + _CONTROL.sub(b"?", address.encode("utf-8", "surrogateescape")) + b"\r\n"


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__
