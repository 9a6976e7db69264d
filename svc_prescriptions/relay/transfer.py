"""One letter over a connection: who has it afterwards."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

from aiosmtplib.protocol import normalize_message_line_endings

from svc_prescriptions.relay.result import DONE, GO_ON, REFUSED, Lost, NotTaken, Outcome, Reply, Result
from svc_prescriptions.relay.session import Session

TOO_LARGE, TOO_LARGE_HERE = 552, "5.3.4"

HandingOver = Callable[[], Awaitable[bool]]
"""Writes down that a letter is being handed over, just before it is; False: somebody else has it by now."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A letter as it travels; `utf8` where an address is not ASCII."""

    sender: str
    recipient: str
    content: bytes
    utf8: bool


def parcelled(sender: str, recipient: str, message: EmailMessage) -> Parcel:
    """A letter, ready to travel."""
    utf8 = not recipient.isascii()
    flat = message.as_bytes(policy=SMTPUTF8 if utf8 else SMTP)
    return Parcel(sender, recipient, normalize_message_line_endings(flat), utf8)


async def transfer(session: Session, parcel: Parcel, handing_over: HandingOver) -> Result:
    """Hands a letter to the relay.

    Raises:
        Lost: the connection is of no more use, and the relay does not have the letter.
    """
    try:
        await _envelope(session, parcel)
    except NotTaken as refusal:
        return refusal.result
    # Without its final dot a letter does not count, whatever was sent of it (RFC 5321, 4.1.1.4 and 3.8).
    await session.write(parcel.content)
    if not await handing_over():
        session.close()  # it holds half a letter
        return Result(Outcome.LATER, "lease lost", ours=True)
    session.dot()
    return await _verdict(session)


async def _envelope(session: Session, parcel: Parcel) -> None:
    if parcel.utf8 and not session.speaks_utf8:
        raise NotTaken(Result(Outcome.REFUSED, "SMTPUTF8 not offered"))
    if session.largest and len(parcel.content) > session.largest:
        raise NotTaken(Result(Outcome.REFUSED, "SIZE too large"))
    mail = await session.ask("MAIL", b"MAIL", b"FROM:<%b>" % parcel.sender.encode(), *_options(session, parcel))
    if mail.kind == REFUSED and not _is_about(parcel, mail):
        raise NotTaken(Result(Outcome.RELAY_AWAY, mail.told))
    mail.expect(DONE)
    (await session.ask("RCPT", b"RCPT", b"TO:<%b>" % parcel.recipient.encode())).expect(DONE)
    (await session.data()).expect(GO_ON)


def _is_about(parcel: Parcel, mail: Reply) -> bool:
    """Whether MAIL was refused because of the letter; else it was the sender, who is the same for all of them."""
    return parcel.utf8 or mail.code == TOO_LARGE or mail.enhanced == TOO_LARGE_HERE


def _options(session: Session, parcel: Parcel) -> list[bytes]:
    size = [b"SIZE=%d" % len(parcel.content)] if session.tells_size else []
    return [*size, b"BODY=8BITMIME", b"SMTPUTF8"] if parcel.utf8 else size


async def _verdict(session: Session) -> Result:
    try:
        reply = await session.verdict()
        reply.expect(DONE)
    except NotTaken as refusal:
        return refusal.result
    except Lost as lost:
        session.close()
        return Result(Outcome.UNCERTAIN, lost.told)
    return Result(Outcome.SENT, reply.told)
