"""One connection to a relay, command by command."""

import asyncio
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import gaierror

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPException,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from aiosmtplib.protocol import SMTPProtocol

from svc_prescriptions.relay.address import RelayAddress, Tls
from svc_prescriptions.relay.result import Lost, Reply

ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
END = "end of letter"
WHY: tuple[tuple[type[BaseException], str], ...] = (  # the first that fits
    (SMTPResponseException, "unreadable answer"),
    (TimeoutError, "timed out"),
    (ssl.SSLCertVerificationError, "certificate not trusted"),
    (ssl.SSLError, "TLS failed"),
    (ConnectionRefusedError, "nobody listens"),
    (gaierror, "no such host"),
    (OSError, "connection lost"),
    (SMTPException, "not offered"),
)
DOT_FIRST = re.compile(rb"(?m)^\.")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait in each phase; from DATA on those of RFC 5321, 4.5.3.2, since giving up there makes duplicates.

    Attributes:
        connect: until there is a connection, and until it is greeted.
        command: for the answer to a command.
        data: for the answer to DATA.
        content: until the relay has taken the content off the line.
        end: for the answer to the final dot.
        leave: for the answer to QUIT.
    """

    connect: float = 20
    command: float = 60
    data: float = 120
    content: float = 180
    end: float = 600
    leave: float = 2


class Session:
    """One connection. Whatever goes wrong with it closes it and raises Lost.

    Args:
        relay: where to.
        trust: how the relay's certificate is judged.
        patience: how long to wait for it.
    """

    def __init__(self, relay: RelayAddress, trust: ssl.SSLContext, patience: Patience) -> None:
        self._relay, self._patience = relay, patience
        at_once = relay.tls is Tls.AT_ONCE
        self._smtp = SMTP(
            hostname=relay.host,
            port=relay.port,
            timeout=patience.command,
            use_tls=at_once,
            start_tls=False,  # `open` does it, so that it can tell a refusal from a bad certificate
            tls_context=trust,
            local_hostname="localhost",  # else a name is looked up; EHLO tells the address
        )

    @property
    def alive(self) -> bool:
        return self._smtp.is_connected

    @property
    def speaks_utf8(self) -> bool:
        """Whether it takes addresses that are not ASCII."""
        return self._smtp.supports_extension("smtputf8")

    @property
    def tells_size(self) -> bool:
        return self._smtp.supports_extension("size")

    @property
    def largest(self) -> int | None:
        """The most bytes that it says a letter may have (RFC 1870); None when it says nothing."""
        told = self._smtp.esmtp_extensions.get("size", "")
        return int(told) or None if told.isascii() and told.isdigit() else None

    async def open(self) -> None:
        """Connects, says EHLO, turns to TLS and logs in."""
        with self._phase("connect"):
            await self._smtp.connect(timeout=self._patience.connect)
        await self._ehlo()
        tls = self._relay.tls
        if tls is Tls.REQUIRED or (tls is Tls.OFFERED and self._smtp.supports_extension("starttls")):
            with self._phase("STARTTLS"):
                await self._smtp.starttls()
            await self._ehlo()
        if self._relay.user:
            with self._phase("AUTH"):
                await self._smtp.login(self._relay.user, self._relay.password)

    async def _ehlo(self) -> None:
        with self._phase("EHLO"):
            await self._smtp.ehlo(hostname=_literal(self._smtp.get_transport_info("sockname")))

    async def ask(self, phase: str, *words: bytes, patience: float | None = None) -> Reply:
        """Sends a command and returns its answer."""
        with self._phase(phase):
            told = await self._smtp.execute_command(*words, timeout=patience or self._patience.command)
        return _reply(phase, told)

    async def data(self) -> Reply:
        return await self.ask("DATA", b"DATA", patience=self._patience.data)

    async def write(self, content: bytes) -> None:
        """Sends the content, and not yet the dot on a line of its own that makes it count."""
        with self._phase("content"):
            protocol = self._connected()
            protocol.write(DOT_FIRST.sub(b"..", content))
            async with asyncio.timeout(self._patience.content):
                await protocol._drain_helper()  # noqa: SLF001  # asyncio's own, and aiosmtplib gives it no other name

    def dot(self) -> None:
        """Hands the letter over: from here on the relay may have it. `content` ended with a newline."""
        with self._phase("content"):
            self._connected().write(b".\r\n")

    async def verdict(self) -> Reply:
        """What the relay says of the letter that it was handed."""
        with self._phase(END):
            told = await self._connected().read_response(timeout=self._patience.end)
        return _reply(END, told)

    def _connected(self) -> SMTPProtocol:
        if not self._smtp.protocol:
            raise SMTPServerDisconnected("it was lost in between")
        return self._smtp.protocol

    async def quit(self) -> None:
        """Takes leave, if anybody is there to hear it."""
        if self.alive:
            await self.ask("QUIT", b"QUIT", patience=self._patience.leave)
        self.close()

    def close(self) -> None:
        self._smtp.close()

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Whatever ends the block but its end closes the connection; what the connection did is told as Lost."""
        try:
            yield
        except BaseException as error:
            self.close()
            if isinstance(error, (SMTPException, OSError)):
                raise Lost(_told(name, error)) from None
            raise


def _literal(socket_name: tuple[object, ...]) -> str:
    """Who says EHLO: the address of this end (RFC 5321, 4.1.3); not every machine has a name that others know."""
    host = str(socket_name[0])
    return f"[IPv6:{host}]" if ":" in host else f"[{host}]"


def _reply(phase: str, told: SMTPResponse | SMTPResponseException) -> Reply:
    enhanced = ENHANCED.match(told.message)
    return Reply(phase, told.code, enhanced[0] if enhanced else "")


def _told(phase: str, error: BaseException) -> str:
    """Why a connection is of no more use."""
    if isinstance(error, SMTPConnectResponseError):
        return _reply("greeting", error).told
    if isinstance(error, SMTPConnectError) and error.__cause__:
        return _told("greeting" if isinstance(error.__cause__, SMTPException) else phase, error.__cause__)
    if isinstance(error, SMTPResponseException) and error.code > 0:
        return _reply(phase, error).told
    return f"{phase} {next(why for kind, why in WHY if isinstance(error, kind))}"
