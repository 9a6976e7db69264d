"""The sink and who sends to it."""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from email.message import EmailMessage
from pathlib import Path
from types import MappingProxyType

import aiosmtplib

from tests.fakes.waiting import wait_until

SENDER, PHARMACY = "clinic@example.org", "pharmacy@example.org"
HOUSE = Path(__file__).parents[3]


def mail(text: str = "Aspirin\n", to: str = PHARMACY) -> EmailMessage:
    message = EmailMessage()
    message["To"] = to
    message["Message-ID"] = "<prescription.1.1.new@example.org>"
    message.set_content(text)
    return message


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


@asynccontextmanager
async def client(port: int) -> AsyncIterator[aiosmtplib.SMTP]:
    """A connection to a sink, greeted."""
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as connected:
        await connected.ehlo()
        yield connected


async def give(connected: aiosmtplib.SMTP, content: bytes) -> None:
    """Sends a letter of these bytes.

    Raises:
        aiosmtplib.SMTPException: it was not acknowledged.
    """
    await connected.mail(SENDER)
    await connected.rcpt(PHARMACY)
    await connected.data(content)


def content(letter: Path) -> bytes:
    """What was sent: all that follows the lines that the sink wrote."""
    lines = letter.read_bytes().split(b"\r\n")
    while lines and lines[0].startswith((b"Return-Path: ", b"Delivered-To: ")):
        del lines[0]
    return b"\r\n".join(lines)


@contextmanager
def sink(
    folder: Path, port: int, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator["subprocess.Popen[str]"]:
    """A sink as a process, from the moment that somebody listens at its port; killed at the end if it still runs."""
    environment = {**os.environ, "CAREMESH_PORT": str(port), "CAREMESH_MAIL_FOLDER": str(folder), **settings}
    command = [sys.executable, "-m", "caremesh.sink"]
    with subprocess.Popen(command, cwd=HOUSE, env=environment, stderr=subprocess.PIPE, text=True) as running:
        try:
            wait_until(lambda: _listens(port) or running.poll() is not None)
            yield running
        finally:
            running.kill()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
