"""What a version of a prescription means for its mail. Pure: deliveries in, decisions out.

What they are for, whatever happens and in whichever order: who holds a letter is told when it no longer holds; nobody
gets two letters that both seem to hold; nothing is sent that was overtaken before it left.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from svc_prescriptions.outbox.delivery import Delivery, Kind, State


class Wish(Enum):
    """What a recipient is to know in the end."""

    LETTER = "the prescription as it is now"
    CANCELLATION = "that no letter holds"
    SILENCE = "nothing more"


@dataclass(frozen=True, slots=True)
class Present:
    """A prescription as it is now, as far as its mail is concerned; `recipient` is "" where there is none."""

    status: str
    recipient: str
    deleted: bool

    def wish(self, recipient: str) -> Wish:
        """What somebody is to know of it."""
        if self.status == "completed":  # it was dispensed
            return Wish.SILENCE
        if self.status == "active" and not self.deleted and recipient == self.recipient:
            return Wish.LETTER
        return Wish.CANCELLATION


@dataclass(frozen=True, slots=True)
class Addition:
    """A letter to be made. `about`, of a cancellation: the version whose letter it cancels; 0 for the present one."""

    kind: Kind
    recipient: str
    about: int = 0
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a write means for the mail: letters that are not to be sent any more, and new ones."""

    overtaken: Sequence[Delivery] = ()
    added: Sequence[Addition] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """What a worker finds: letters not to be sent any more, and those to take in hand, as they are now meant."""

    overtaken: Sequence[Delivery] = ()
    ready: Sequence[Delivery] = ()


def held(deliveries: Iterable[Delivery]) -> Delivery | None:
    """The letter that its recipient may take to hold: the newest that may have arrived and is not surely cancelled."""
    found = None
    for one in sorted(deliveries, key=_age):
        if not one.cancels and one.out:
            found = one
        elif one.cancels and one.state is State.SENT:
            found = None
    return found


def plan(present: Present, deliveries: Collection[Delivery], same: Collection[int]) -> Plan:
    """What a version that was just written means.

    Args:
        present: the prescription with this version.
        deliveries: all that there are of this prescription.
        same: versions whose letters say what one about this version would say.
    """
    recipients = {one.recipient: None for one in sorted(deliveries, key=_age)} | {present.recipient: None}
    plans = [
        PLANS[present.wish(recipient)]([one for one in deliveries if one.recipient == recipient], recipient, same)
        for recipient in filter(None, recipients)
    ]
    return Plan([one for each in plans for one in each.overtaken], [one for each in plans for one in each.added])


def review(present: Present, deliveries: Collection[Delivery], now: datetime) -> Review:
    """What may be sent of a prescription's letters now. To each recipient it is one at the most, and the newest.

    What its write expected may have come otherwise since: the letter that it was to replace was refused, a
    cancellation before it never left.
    """
    overtaken, ready = list[Delivery](), list[Delivery]()
    in_hand = {one.recipient for one in deliveries if one.state is State.SENDING}
    for one in filter(lambda one: one.open, deliveries):
        as_meant = meant(one, present, deliveries)
        if as_meant is None:
            overtaken.append(one)
        elif one.due(now) and one.recipient not in in_hand:
            ready.append(as_meant)
    return Review(overtaken, ready)


def meant(one: Delivery, present: Present, deliveries: Iterable[Delivery]) -> Delivery | None:
    """A letter as it must be sent, by what has become of those before it; None when it is not wanted any more.

    Args:
        one: the letter.
        present: its prescription as it is now.
        deliveries: all letters about it.
    """
    mine = [other for other in deliveries if other.recipient == one.recipient]
    wanted = Wish.CANCELLATION if one.cancels else Wish.LETTER
    newer = any(_age(other) > _age(one) and other.state is not State.WITHDRAWN for other in mine)
    if newer or present.wish(one.recipient) is not wanted:
        return None
    if one.maybe_left:  # the same in every attempt
        return one
    holds = held(other for other in mine if _age(other) < _age(one))
    if not one.cancels:
        return replace(one, kind=_kind(holds), replaces=holds.message_id if holds else "")
    return replace(one, about=holds.about, replaces=holds.message_id) if holds else None


def _open(mine: Sequence[Delivery], but: Delivery | None = None) -> Sequence[Delivery]:
    return [one for one in mine if one.open and one is not but]


def superseded(one: Delivery) -> Delivery:
    """An open letter that is not to be sent any more. Of one that may have left nobody can say more than that."""
    state = State.UNCERTAIN if one.maybe_left else State.WITHDRAWN
    return replace(one, state=state, next_attempt_at=None)


def _letter(mine: Sequence[Delivery], recipient: str, same: Collection[int]) -> Plan:
    waiting = [one for one in mine if one.state is State.WAITING]
    settled = _newest(one for one in mine if one.state not in (State.WAITING, State.WITHDRAWN, State.FAILED))
    coming = _newest(waiting)
    if settled and settled.about in same and not settled.cancels and _comes(settled):
        return Plan(overtaken=waiting)  # it says what is true again
    if coming and coming.about in same and not coming.cancels:
        return Plan(_open(mine, but=coming))
    holds = held(mine)
    addition = Addition(_kind(holds), recipient, replaces=holds.message_id if holds else "")
    return Plan(_open(mine), [addition])


def _cancellation(mine: Sequence[Delivery], recipient: str, _same: Collection[int]) -> Plan:
    newest, holds = _newest(one for one in mine if one.state is not State.WITHDRAWN), held(mine)
    # One that was refused for good is a person's to replay: each further write would make another one.
    if newest and newest.cancels and (newest.state is State.FAILED or _comes(newest)):
        return Plan(_open(mine, but=newest))
    addition = [Addition(Kind.CANCELLATION, recipient, holds.about, holds.message_id)] if holds else []
    return Plan(_open(mine), addition)


def _silence(mine: Sequence[Delivery], _recipient: str, _same: Collection[int]) -> Plan:
    return Plan(_open(mine))


PLANS = {Wish.LETTER: _letter, Wish.CANCELLATION: _cancellation, Wish.SILENCE: _silence}


def _comes(one: Delivery) -> bool:
    """Whether it has arrived, or is on its way, as far as anybody knows."""
    return one.open or one.state in (State.SENDING, State.SENT)


def _kind(holds: Delivery | None) -> Kind:
    return Kind.REVISION if holds else Kind.NEW


def _newest(deliveries: Iterable[Delivery]) -> Delivery | None:
    return max(deliveries, key=_age, default=None)


def _age(one: Delivery) -> int:
    return one.delivery_id
