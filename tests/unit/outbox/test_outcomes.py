"""What becomes of a letter after an attempt."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from svc_prescriptions.outbox.delivery import Delivery, Kind, State
from svc_prescriptions.outbox.outcomes import BACKOFF_CAP, MOST_DOUBTS, Rules, doubted, lapsed, replayed, settled
from svc_prescriptions.relay.result import Outcome, Result

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
RULES, BY_HAND = Rules(give_up=120 * HOUR, repeat_after=15 * MINUTE), Rules(give_up=120 * HOUR, repeat_after=None)
IN_HAND = Delivery(
    delivery_id=1,
    prescription_id=1,
    version=1,
    about=1,
    kind=Kind.NEW,
    state=State.SENDING,
    attempts=1,
    created_at=NOON,
    updated_at=NOON,
    next_attempt_at=None,
    message_id="<prescription.1.1.new@x>",
    holder="w",
    held_until=NOON + MINUTE,
)


def after(one: Delivery, outcome: Outcome, now: datetime = NOON, rules: Rules = RULES) -> Delivery:
    return settled(one, Result(outcome, "RCPT 450 4.2.0"), now, rules, Random(7))


@pytest.mark.parametrize(
    ("outcome", "state", "maybe", "due"),
    [
        (Outcome.SENT, State.SENT, State.SENT, None),
        (Outcome.REFUSED, State.FAILED, State.UNCERTAIN, None),
        (Outcome.RELAY_AWAY, State.WAITING, State.UNCERTAIN, NOON),
        (Outcome.UNCERTAIN, State.UNCERTAIN, State.UNCERTAIN, NOON + 15 * MINUTE),
    ],
)
def test_each_outcome_has_its_state(outcome: Outcome, state: State, maybe: State, due: datetime | None) -> None:
    """A letter that an earlier attempt may have delivered is never said to wait or to have failed."""
    for before, expected in ((IN_HAND, state), (replace(IN_HAND, maybe_left=1), maybe)):
        ended = after(before, outcome)
        assert (ended.state, ended.next_attempt_at) == (expected, due)
        assert (ended.holder, ended.held_until) == ("", None)
        assert ended.last_error == ("" if outcome is Outcome.SENT else "RCPT 450 4.2.0")


def test_a_relay_that_is_away_costs_a_letter_no_attempt() -> None:
    """Its next pause would be longer for nothing it did."""
    assert after(IN_HAND, Outcome.RELAY_AWAY).attempts == 0


def test_pauses_grow_up_to_a_quarter_of_an_hour_and_are_spread() -> None:
    """Thousands of letters that were told to come later must not all come at once."""
    longest = []
    for attempts in range(1, 40):
        one, pauses = replace(IN_HAND, attempts=attempts), []
        for seed in range(50):
            ended = settled(one, Result(Outcome.LATER, ""), NOON, RULES, Random(seed))
            assert ended.next_attempt_at
            pauses.append((ended.next_attempt_at - NOON).total_seconds())
        assert len(set(pauses)) > 40
        longest.append(max(pauses))
    assert longest[0] <= 5
    assert 60 < longest[5] <= 160
    assert 600 < longest[-1] <= BACKOFF_CAP


def test_after_five_days_of_refusals_a_letter_is_dead_and_a_relay_that_was_away_does_not_count() -> None:
    """A mailbox may be full for a weekend. What was never refused was never tried."""
    first = after(IN_HAND, Outcome.LATER, NOON)
    assert first.give_up_at == NOON + 120 * HOUR
    assert after(first, Outcome.LATER, NOON + 119 * HOUR).state is State.WAITING
    assert after(first, Outcome.RELAY_AWAY, NOON + 200 * HOUR).state is State.WAITING
    assert after(first, Outcome.LATER, NOON + 120 * HOUR).state is State.FAILED
    assert replayed(after(first, Outcome.LATER, NOON + 120 * HOUR), NOON).give_up_at is None


def test_a_lapsed_letter_is_uncertain_only_if_it_was_handed_over() -> None:
    """Before that the relay cannot have it, and it is sent at once."""
    assert lapsed(IN_HAND, NOON, RULES).state is State.WAITING
    assert lapsed(IN_HAND, NOON, RULES).next_attempt_at == NOON
    assert lapsed(replace(IN_HAND, handed_at=NOON), NOON, RULES).state is State.UNCERTAIN


def test_a_letter_is_not_repeated_for_ever_and_by_itself_only_where_that_is_wanted() -> None:
    """Each of these attempts may have put another copy into somebody's mailbox."""
    one = IN_HAND
    for _ in range(MOST_DOUBTS - 1):
        one = doubted(one, "", NOON, RULES)
        assert one.open
    assert not doubted(one, "", NOON, RULES).open
    assert not doubted(IN_HAND, "", NOON, BY_HAND).open


def test_a_replayed_letter_says_that_it_may_have_come_before_unless_it_certainly_did_not() -> None:
    """So that nobody takes it for a second prescription."""
    assert replayed(after(IN_HAND, Outcome.REFUSED), NOON).maybe_left == 0
    assert replayed(after(IN_HAND, Outcome.SENT), NOON).maybe_left == 1
    assert replayed(after(IN_HAND, Outcome.UNCERTAIN), NOON).maybe_left == 1
