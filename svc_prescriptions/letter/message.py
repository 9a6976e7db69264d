"""A letter as a mail: its headers and its two bodies."""

from datetime import datetime
from email.headerregistry import BaseHeader, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy, Policy
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from svc_prescriptions.letter.sheet import Letter, Sheet, sheet
from svc_prescriptions.letter.texts import hanging
from svc_prescriptions.mailbox import sender_of, transmitted

TEMPLATES = Path(__file__).with_name("templates")
BOUNDARY = "=_letter"  # = and _ are not beside each other in either encoding (RFC 2045, 6.7)
LONGEST_LINE = 76  # of both encodings (RFC 2045, 6.7 and 6.8)
READABLE = 20_000  # characters; longer ones are BASE64, since Python's quoted-printable takes a second a megabyte


class WholeHeader(BaseHeader):
    """The names of letters, on one line each: folded, some readers miss them, and long ones Python would encode."""

    max_count = 1

    @classmethod
    def parse(cls, string: str, kwds: dict[str, Any]) -> None:
        """What BaseHeader asks for: the text is the value."""
        kwds["decoded"], kwds["parse_tree"] = string, None

    def fold(self, *, policy: Policy) -> str:
        """The header's line."""
        return f"{self.name}: {self}{policy.linesep}"


def render(letter: Letter, sender: str, now: datetime) -> EmailMessage:
    """The mail that a letter travels as.

    Args:
        letter: what it is about.
        sender: whom it comes from: `CareMesh <prescriptions@clinic.example>`.
        now: when.

    Raises:
        MailboxError: the prescription's `mail_to`, or the sender, is no mailbox.
    """
    to = transmitted(letter.prescription.content.mail_to)
    words = sheet(letter)
    message = EmailMessage(_policy(utf8=not to.isascii()))
    message["Message-ID"] = letter.message_id
    if letter.replaces:
        message["In-Reply-To"] = message["References"] = letter.replaces
    message["Date"] = now
    message["From"] = sender_of(sender)
    message["To"] = to
    message["Subject"] = words.subject
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody is away from this
    message["MIME-Version"] = "1.0"
    message.make_alternative(boundary=BOUNDARY)
    for kind in ("plain", "html"):
        message.attach(_body(words, kind))
    return message


def _body(words: Sheet, kind: str) -> EmailMessage:
    text = _environment().get_template(f"letter.{kind}").render(sheet=words)
    part = EmailMessage(_policy().clone(max_line_length=LONGEST_LINE))
    # Never as it is, though it were ASCII: so BOUNDARY cannot occur in it, and no relay may break a line or take a dot.
    part.set_content(text, subtype=kind, cte="quoted-printable" if len(text) < READABLE else "base64")
    return part


@cache
def _policy(*, utf8: bool = False) -> "EmailPolicy[Any]":
    registry = HeaderRegistry()
    for name in ("Message-ID", "In-Reply-To", "References"):
        registry.map_to_type(name, WholeHeader)
    return SMTP.clone(utf8=utf8, header_factory=registry)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters["hanging"] = hanging
    return environment
