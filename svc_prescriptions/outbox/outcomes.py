"""What becomes of a letter after an attempt, or when somebody decides it by hand. Pure: a delivery in, the same out."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from mesh.decide.backoff import full_jitter
from svc_prescriptions.outbox.delivery import Delivery, State
from svc_prescriptions.relay.result import Outcome, Result

BACKOFF_BASE, BACKOFF_CAP = 5.0, 900.0  # seconds
MOST_DOUBTS = 3  # attempts of a letter that may end uncertain before a person must look; each may have arrived
LONGEST_ERROR = 80  # characters


@dataclass(frozen=True, slots=True)
class Rules:
    """How long to try.

    Attributes:
        give_up: after a first refusal for now; RFC 5321, 4.5.4.1 wants at least four or five days.
        repeat_after: when an uncertain letter is sent again by itself; None for never.
    """

    give_up: timedelta
    repeat_after: timedelta | None


def settled(one: Delivery, result: Result, now: datetime, rules: Rules, rng: Random) -> Delivery:
    """A letter in hand after its attempt has ended."""
    ended = _let_go(one, result.told)
    match result.outcome:
        case Outcome.SENT:
            return replace(ended, state=State.SENT, last_error="")
        case Outcome.LATER:
            return _later(ended, now, rules, rng)
        case Outcome.REFUSED:
            return _dead(ended)
        case Outcome.UNCERTAIN:
            return doubted(one, result.told, now, rules)
        case Outcome.RELAY_AWAY:
            return given_back(one, result.told, now)


def given_back(one: Delivery, told: str, now: datetime) -> Delivery:
    """A letter in hand that was not tried: as it was before, and due."""
    return replace(_due(_let_go(one, told), now), attempts=one.attempts - 1)


def lapsed(one: Delivery, now: datetime, rules: Rules) -> Delivery:
    """A letter in the hand of a worker that is gone."""
    if one.handed_at is None:
        return _due(_let_go(one, "worker gone"), now)
    return doubted(one, "worker gone after handing over", now, rules)


def doubted(one: Delivery, told: str, now: datetime, rules: Rules) -> Delivery:
    """A letter that was handed over, and no answer came: nobody can know whether it has arrived."""
    doubts = one.maybe_left + 1
    again = rules.repeat_after is not None and doubts < MOST_DOUBTS
    due = now + rules.repeat_after if again and rules.repeat_after is not None else None
    return replace(_let_go(one, told), state=State.UNCERTAIN, maybe_left=doubts, next_attempt_at=due)


def replayed(one: Delivery, now: datetime) -> Delivery:
    """A letter that a person wants to be sent now. One that may have arrived says so of itself."""
    doubts = max(one.maybe_left, int(one.out))
    return replace(_due(replace(one, maybe_left=doubts), now), give_up_at=None)


def _later(one: Delivery, now: datetime, rules: Rules, rng: Random) -> Delivery:
    if one.give_up_at is not None and now >= one.give_up_at:
        return _dead(one)
    pause = timedelta(seconds=full_jitter(one.attempts, BACKOFF_BASE, BACKOFF_CAP, rng))
    return replace(_due(one, now + pause), give_up_at=one.give_up_at or now + rules.give_up)


def _dead(one: Delivery) -> Delivery:
    # Of a letter that an earlier attempt may have delivered nobody may say that it failed.
    return replace(one, state=State.UNCERTAIN if one.maybe_left else State.FAILED)


def _due(one: Delivery, when: datetime) -> Delivery:
    return replace(one, state=State.UNCERTAIN if one.maybe_left else State.WAITING, next_attempt_at=when)


def _let_go(one: Delivery, told: str) -> Delivery:
    return replace(one, holder="", held_until=None, next_attempt_at=None, last_error=told[:LONGEST_ERROR])
