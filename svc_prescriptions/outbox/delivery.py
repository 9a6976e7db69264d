"""One letter about one version of a prescription to one recipient, and how far it has come."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What a letter says: here is a prescription; it replaces an earlier one; an earlier one no longer holds."""

    NEW = "new"
    REVISION = "revision"
    CANCELLATION = "cancellation"


class State(StrEnum):
    """How far a letter has come.

    WAITING and UNCERTAIN ones are sent, again, once `next_attempt_at` has come; an uncertain one has perhaps arrived.
    SENDING: a worker has it in hand. FAILED: it certainly did not arrive and is not sent again by itself.
    WITHDRAWN: it never left and is not wanted any more.
    """

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A row of `deliveries`, and the recipient, which is version `about`'s.

    Attributes:
        version: whose write made it.
        about: the version that the letter shows, or that it cancels; its `mail_to` is the recipient.
        attempts: how often a worker took it in hand; with `holder` it names one such attempt.
        next_attempt_at: when it is due; None when nothing is.
        give_up_at: a refusal for now that comes after this moment is the last; None until there was one.
        message_id: the same in every attempt.
        replaces: the `message_id` of what the letter replaces or cancels; "" for nothing.
        maybe_left: how many attempts ended after the letter was handed over and before an answer came.
        holder: the worker that has it in hand, until
        held_until: unless it is renewed.
        handed_at: when this attempt came to the point from which on the relay may have the letter; None before.
        last_error: where the last attempt ended and with which code, "RCPT 450"; never a relay's words.
        traceparent: of the request that made it (W3C), or "".
        recipient: an address as it is transmitted.
    """

    delivery_id: int = 0
    prescription_id: int
    version: int
    about: int
    kind: Kind
    state: State = State.WAITING
    attempts: int = 0
    created_at: datetime
    updated_at: datetime
    next_attempt_at: datetime | None
    give_up_at: datetime | None = None
    message_id: str
    replaces: str = ""
    maybe_left: int = 0
    holder: str = ""
    held_until: datetime | None = None
    handed_at: datetime | None = None
    last_error: str = ""
    traceparent: str = field(default="", repr=False)
    recipient: str = field(default="", repr=False)

    @property
    def open(self) -> bool:
        """Whether it will be sent by itself, unless something happens before."""
        return self.state in (State.WAITING, State.UNCERTAIN) and self.next_attempt_at is not None

    def due(self, now: datetime) -> bool:
        """Whether that moment has come."""
        return self.open and self.next_attempt_at is not None and self.next_attempt_at <= now

    @property
    def out(self) -> bool:
        """Whether the recipient may have it, or may get it any moment."""
        return self.state in (State.SENDING, State.SENT, State.UNCERTAIN)

    @property
    def cancels(self) -> bool:
        return self.kind is Kind.CANCELLATION


def message_id(prescription_id: int, version: int, written: datetime, kind: Kind, domain: str, number: int = 1) -> str:
    """A letter's name for good.

    Args:
        prescription_id: the prescription's.
        version: whose write makes the letter.
        written: when that was, in UTC. After a copy was put back the same version is made once more, with another
            content, and mail programs drop a letter whose name they know.
        kind: the letter's.
        domain: the clinic's.
        number: tells letters of one kind apart that one version makes to several people.
    """
    further = f".{number}" if number > 1 else ""
    return f"<prescription.{prescription_id}.{version}.{kind}{further}.{written:%Y%m%dT%H%M%SZ}@{domain}>"
