"""The inbox of this machine's sink: its letters as a list, as text, in a browser."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from email.policy import default
from pathlib import Path

from caremesh.config import Config
from caremesh.endings import Refused
from caremesh.mail.table import columns, moment
from caremesh.sink.maildir import Maildir, came
from caremesh.sink.settings import SinkSettings
from caremesh.up.plan import MAIL, environments
from process.settings import load

SHOWN = 20  # letters of a list
HEAD = ("n", "arrived", "to", "subject")
TOLD = ("Date", "From", "Delivered-To", "Subject", "Message-ID", "In-Reply-To")
UNREADABLE = "(unreadable)"


def maildir(config: Config, environ: Mapping[str, str]) -> Maildir:
    """Where the sink puts letters, by its settings; where there is none any more, where it did.

    Raises:
        SettingsError: the sink would not take its settings.
    """
    environment = environments(config, environ).get("mail-sink")
    folder = load(SinkSettings, environment).mail_folder if environment else config.data / MAIL
    return Maildir(Path(folder))


def listed(letters: Sequence[Path], most: int) -> list[str]:
    """A table of the newest so many, the newest last."""
    first = max(0, len(letters) - most)
    return columns(HEAD, [_row(number, path) for number, path in enumerate(letters[first:], first + 1)])


def _row(number: int, path: Path) -> tuple[object, ...]:
    with path.open("rb") as file:
        head = BytesHeaderParser(EmailMessage, policy=default).parse(file)
    return number, moment(came(path)), _header(head, "Delivered-To"), _header(head, "Subject")


def chosen(letters: Sequence[Path], number: int) -> EmailMessage:
    """A letter by its number in the list. Raises Refused where there is none."""
    if not 1 <= number <= len(letters):
        there = f"there are {len(letters)}" if letters else "there is none"
        raise Refused(f"no letter has the number {number}; {there}, and `caremesh mail inbox` lists them")
    with letters[number - 1].open("rb") as file:
        return BytesParser(EmailMessage, policy=default).parse(file)


def text(message: EmailMessage) -> Iterator[str]:
    """Its lines: who, when, what about, and the part that is plain text."""
    for name in TOLD:
        if value := _header(message, name):
            yield f"{name}: {value}"
    yield ""
    yield from (_part(message, "plain") or "(it has no part of plain text)").splitlines()


def page(message: EmailMessage) -> Path:
    """A new file with its HTML part, for this user's eyes only. Raises Refused where it has none."""
    html = _part(message, "html")
    if html is None:
        raise Refused("it has no HTML part; `caremesh mail inbox show` reads its text")
    descriptor, name = tempfile.mkstemp(prefix="caremesh-letter-", suffix=".html")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(html)
    return Path(name)


def _part(message: EmailMessage, kind: str) -> str | None:
    try:
        part = message.get_body((kind,))
        return None if part is None else str(part.get_content())
    except Exception:  # noqa: BLE001  # anybody may have sent anything, and `email` raises whatever it stumbles over
        return UNREADABLE


def _header(message: EmailMessage, name: str) -> str:
    try:
        return ", ".join(map(str, message.get_all(name, [])))
    except Exception:  # noqa: BLE001  # as above
        return UNREADABLE
