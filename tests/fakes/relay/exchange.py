"""One connection to the relay, command by command."""

import asyncio
import base64
import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Protocol

from tests.fakes.relay.faults import Fault, How, Point

AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: a close resets


@dataclass(frozen=True)
class Taken:
    """A letter that was stored. `confirmed`: the sender was told so, as far as this end can know."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    connection: int
    confirmed: bool

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.content, policy=default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])


class Over(Exception):
    """This connection has ended."""


class House(Protocol):
    """What the server has that a connection needs."""

    tls: ssl.SSLContext | None
    users: Mapping[str, str]
    extensions: Sequence[str]
    commands: list[str]

    def fault(self, point: Point) -> Fault | None:
        """What goes wrong here, if anything does."""

    def keep(self, letter: Taken) -> None:
        """Stores a letter."""


@dataclass
class Exchange:
    """One connection."""

    house: House
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    sender: str | None = field(default=None, init=False)
    recipients: list[str] = field(default_factory=list, init=False)
    secret: bool = field(default=False, init=False)
    known: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Serves until one end leaves."""
        await self.answer(Point.CONNECT, "")
        await self.answer(Point.BANNER, "220 relay.example ESMTP")
        while True:
            line = await self.line()
            self.house.commands.append(line)
            verb, _, rest = line.partition(" ")
            await getattr(self, f"on_{verb.lower()}", self.on_other)(rest)

    async def line(self) -> str:
        return (await self.reader.readuntil(b"\r\n")).decode("utf-8", "surrogateescape")[:-2]

    async def tell(self, line: str) -> None:
        if line:
            self.writer.write(f"{line}\r\n".encode())
            await self.writer.drain()

    async def answer(self, point: Point, right: str) -> bool:
        """Answers a command, or does what goes wrong instead. Returns whether nothing did."""
        fault = self.house.fault(point)
        await (self.fail(fault, right) if fault else self.tell(right))
        return not fault

    async def fail(self, fault: Fault, right: str) -> None:
        """Raises Over where it ends the connection."""
        if fault.how is How.STALL and fault.point is Point.CONTENT:
            self.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's has it
            await asyncio.Event().wait()
        elif fault.how is How.STALL:
            while await self.reader.read(2**16):
                pass
        elif fault.how is How.CUT:
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        else:
            await self.tell(fault.answer or right)
        if fault.how is not How.ANSWER:
            raise Over

    async def on_ehlo(self, rest: str) -> None:
        offers = ["relay.example", *self.house.extensions]
        if self.house.tls and not self.secret:
            offers.append("STARTTLS")
        elif self.house.users:
            offers.append("AUTH PLAIN LOGIN")
        await self.answer(Point.EHLO, "\r\n".join([*(f"250-{one}" for one in offers[:-1]), f"250 {offers[-1]}"]))

    async def on_starttls(self, rest: str) -> None:
        if await self.answer(Point.STARTTLS, "220 2.0.0 go ahead"):
            assert self.house.tls
            await self.writer.start_tls(self.house.tls)
            self.secret = True

    async def on_auth(self, rest: str) -> None:
        kind, _, first = rest.partition(" ")
        said = plain(first or await self._asked("334 "))
        if kind.upper() == "LOGIN":
            user, password = said, plain(await self._asked("334 UGFzc3dvcmQ6"))
        else:
            _, user, password = said.split("\0")
        right = self.house.users.get(user) == password
        self.known = await self.answer(Point.AUTH, "235 2.7.0 hello" if right else "535 5.7.8 no") and right

    async def _asked(self, line: str) -> str:
        await self.tell(line)
        return await self.line()

    async def on_mail(self, rest: str) -> None:
        if self.house.users and not self.known:
            await self.tell("530 5.7.0 log in first")
        elif await self.answer(Point.MAIL, "250 2.1.0 ok"):
            self.sender, self.recipients = path(rest), []

    async def on_rcpt(self, rest: str) -> None:
        if self.sender is None:
            await self.tell("503 5.5.1 MAIL first")
        elif await self.answer(Point.RCPT, "250 2.1.5 ok"):
            self.recipients.append(path(rest))

    async def on_data(self, rest: str) -> None:
        if not self.recipients:
            await self.tell("503 5.5.1 RCPT first")
        elif await self.answer(Point.DATA, "354 go on"):
            await self._content()

    async def _content(self) -> None:
        if fault := self.house.fault(Point.CONTENT):
            await self.line()
            await self.fail(fault, "")
        lines = []
        while (line := await self.reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        fault = self.house.fault(Point.DOT)
        if not fault or fault.keeps or fault.how is How.CUT_AFTER:
            confirmed = not fault or not fault.keeps
            letter = Taken(self.sender or "", tuple(self.recipients), b"".join(lines), self.number, confirmed)
            self.house.keep(letter)
        self.sender, self.recipients = None, []
        right = "250 2.0.0 taken"
        await (self.fail(fault, right) if fault else self.tell(right))

    async def on_rset(self, rest: str) -> None:
        self.sender, self.recipients = None, []
        await self.answer(Point.RSET, "250 2.0.0 ok")

    async def on_quit(self, rest: str) -> None:
        await self.answer(Point.QUIT, "221 2.0.0 bye")
        raise Over

    async def on_other(self, rest: str) -> None:
        await self.tell("502 5.5.2 no such command")


def plain(word: str) -> str:
    """What BASE64 holds."""
    return base64.b64decode(word).decode()


def path(rest: str) -> str:
    """The address in FROM:<…> or TO:<…>; a > within quotes does not end it."""
    inside, quoted, escaped = rest[rest.index("<") + 1 :], False, False
    for place, letter in enumerate(inside):
        if letter == ">" and not quoted:
            return inside[:place]
        quoted ^= letter == '"' and not escaped
        escaped = letter == "\\" and not escaped
    raise ValueError(rest)
