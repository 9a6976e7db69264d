"""Whatever becomes of a prescription and of its letters, in whichever order: who holds a letter knows the truth."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from svc_prescriptions.outbox.delivery import Delivery, Kind, State, message_id
from svc_prescriptions.outbox.intents import Present, Wish, held, plan, review, superseded
from svc_prescriptions.outbox.outcomes import MOST_DOUBTS, Rules, given_back, lapsed, replayed, settled
from svc_prescriptions.relay.result import Outcome, Result

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Rules(give_up=timedelta(hours=120), repeat_after=timedelta(minutes=15))
A, B = RECIPIENTS = ("a@example.org", "b@example.org")
ENDED = (State.SENT, State.FAILED, State.WITHDRAWN)


@dataclass
class Mailbox:
    """What a pharmacist holds: the letters that seem to hold, by their Message-ID, and all that ever came."""

    holds: set[str] = field(default_factory=set)
    came: list[str] = field(default_factory=list)

    def take(self, one: Delivery) -> None:
        """A revision says that it replaces all earlier ones of its prescription, a cancellation that none holds."""
        self.came.append(one.message_id)
        if one.kind is not Kind.NEW:
            self.holds.clear()
        if not one.cancels:
            self.holds.add(one.message_id)


class World:
    """One prescription, its deliveries as a database keeps them, and the mailboxes that they go to."""

    def __init__(self) -> None:
        self.now, self.rng = NOON, Random(1)
        self.present = Present("draft", "", deleted=False)
        self.deliveries: dict[int, Delivery] = {}
        self.words: dict[int, str] = {}
        self.mailboxes = {recipient: Mailbox() for recipient in RECIPIENTS}

    def put(self, *changed: Delivery) -> None:
        self.deliveries |= {one.delivery_id: one for one in changed}

    def to(self, recipient: str) -> list[Delivery]:
        return [one for one in self.deliveries.values() if one.recipient == recipient]

    @property
    def in_hand(self) -> list[Delivery]:
        return [one for one in self.deliveries.values() if one.state is State.SENDING]

    @property
    def last_words(self) -> str:
        return self.words[max(self.words)]

    def write(self, status: str, recipient: str, words: str, *, deleted: bool = False) -> None:
        if self.present.deleted:  # nobody can write to it any more
            return
        version = len(self.words) + 1
        self.words[version], self.present = words, Present(status, recipient, deleted)
        same = {before for before, written in self.words.items() if written == words}
        planned = plan(self.present, list(self.deliveries.values()), same)
        self.put(*map(superseded, planned.overtaken))
        for number, added in enumerate(planned.added, 1):
            made = Delivery(
                delivery_id=len(self.deliveries) + 1,
                prescription_id=1,
                version=version,
                about=added.about or version,
                kind=added.kind,
                created_at=self.now,
                updated_at=self.now,
                next_attempt_at=self.now,
                message_id=message_id(1, version, self.now, added.kind, "x", number),
                replaces=added.replaces,
                recipient=added.recipient,
            )
            self.put(made)
        self.no_waiting_letter_survived()

    def delete(self) -> None:
        if self.words:
            self.write(self.present.status, self.present.recipient, self.last_words, deleted=True)

    def no_waiting_letter_survived(self) -> None:
        """Those that wait after a change say what is so now."""
        for one in self.deliveries.values():
            if one.state is State.WAITING:
                wish = self.present.wish(one.recipient)
                assert wish is (Wish.CANCELLATION if one.cancels else Wish.LETTER)
                assert one.cancels or self.words[one.about] == self.last_words

    def take(self, minutes: int = 0) -> None:
        """A worker takes in hand what it may."""
        self.now += timedelta(minutes=minutes)
        found = review(self.present, list(self.deliveries.values()), self.now)
        self.put(*map(superseded, found.overtaken))
        for one in found.ready:
            holds = held(self.to(one.recipient)[:-1])
            assert one.maybe_left or bool(holds) is (one.kind is not Kind.NEW), (
                "it names what is not there, or not what is"
            )
            assert one.maybe_left or one.replaces == (holds.message_id if holds else "")
            assert not one.maybe_left or one == self.deliveries[one.delivery_id], "not the same in every attempt"
            self.put(replace(one, state=State.SENDING, attempts=one.attempts + 1, handed_at=None))

    def end(self, outcome: Outcome, *, arrives: bool = False) -> None:
        """All that is in hand ends so."""
        for one in self.in_hand:
            if outcome is Outcome.SENT or (outcome is Outcome.UNCERTAIN and arrives):
                self.arrive(one)
            self.put(settled(one, Result(outcome, outcome.value), self.now, RULES, self.rng))

    def kill(self, *, handed: bool, arrives: bool) -> None:
        """The worker is gone; another one finds that its lease has lapsed."""
        for one in self.in_hand:
            if handed and arrives:
                self.arrive(one)
            self.put(lapsed(replace(one, handed_at=self.now if handed else None), self.now, RULES))

    def give_back(self) -> None:
        self.put(*(given_back(one, "", self.now) for one in self.in_hand))

    def arrive(self, one: Delivery) -> None:
        mailbox = self.mailboxes[one.recipient]
        assert one.maybe_left or one.message_id not in mailbox.came, "twice, and nobody could have known"
        mailbox.take(one)
        assert len(mailbox.holds) <= 1, "two letters that both seem to hold"

    def check(self) -> None:
        for recipient in RECIPIENTS:
            assert sum(one.state is State.SENDING for one in self.to(recipient)) <= 1, "two in hand to one recipient"
        assert len({one.message_id for one in self.deliveries.values()}) == len(self.deliveries), "a name taken twice"
        assert not any(one.next_attempt_at for one in self.deliveries.values() if one.state in ENDED), "due for ever"

    def finish(self) -> None:
        """Everything that can arrives; a person replays what was refused and what stays uncertain."""
        for _ in range(6):
            self.take(24 * 60)
            self.end(Outcome.SENT)
            for recipient in RECIPIENTS:
                newest = [one for one in self.to(recipient) if one.state is not State.WITHDRAWN][-1:]
                if self.present.wish(recipient) is not Wish.SILENCE:
                    self.put(*(replayed(one, self.now) for one in newest if is_a_persons(one)))
        assert not any(one.open for one in self.deliveries.values())
        for recipient, mailbox in self.mailboxes.items():
            wish, about = self.present.wish(recipient), {one.message_id: one.about for one in self.to(recipient)}
            if wish is Wish.LETTER:
                (holds,) = mailbox.holds
                assert self.words[about[holds]] == self.last_words, "the holder of a letter has not the newest words"
            elif wish is Wish.CANCELLATION:
                assert mailbox.holds == set(), "a letter seems to hold that does not"


def is_a_persons(one: Delivery) -> bool:
    """Whether it is not sent by itself any more, for a reason that lies in itself and not in what came after it."""
    reason = one.last_error == "refused" or one.maybe_left >= MOST_DOUBTS
    return reason and one.state in (State.FAILED, State.UNCERTAIN) and not one.open


Step = Callable[[World], None]


@dataclass(frozen=True)
class Do:
    """A step that can be read when a test fails."""

    name: str
    arguments: tuple[object, ...] = ()
    options: tuple[tuple[str, object], ...] = ()

    def __call__(self, world: World) -> None:
        getattr(world, self.name)(*self.arguments, **dict(self.options))


ACTIVE = [Do("write", ("active", recipient, words)) for recipient in (A, A, B, "") for words in "xy"]
OTHERWISE = [Do("write", (status, A, "x")) for status in ("on-hold", "stopped", "completed")]
WRITES = st.sampled_from([*ACTIVE, *OTHERWISE, *OTHERWISE, Do("delete")])
TAKES = st.sampled_from([Do("take"), Do("take"), Do("take", (20,))])
ENDS = st.sampled_from(
    [
        *(Do("end", (outcome,)) for outcome in Outcome),
        Do("end", (Outcome.UNCERTAIN,), (("arrives", True),)),
        Do("kill", (), (("handed", False), ("arrives", False))),
        Do("kill", (), (("handed", True), ("arrives", False))),
        Do("kill", (), (("handed", True), ("arrives", True))),
        Do("give_back"),
    ]
)
LIVES = st.lists(st.one_of(WRITES, TAKES, ENDS, st.tuples(TAKES, ENDS), st.tuples(WRITES, TAKES, ENDS)), max_size=10)


@given(LIVES)
@settings(max_examples=2000, deadline=None)
def test_who_holds_a_letter_knows_the_truth_in_the_end_and_never_holds_two(life: list[Step | tuple[Step, ...]]) -> None:
    """Medicine is given out by what a letter says. The rules beside the name's are said where they are asserted."""
    note(" ".join(map(str, life)))
    world = World()
    for steps in life:
        for step in steps if isinstance(steps, tuple) else (steps,):
            step(world)
            world.check()
    world.finish()


def lived(*steps: Step) -> World:
    world = World()
    for step in steps:
        step(world)
    return world


def told(world: World) -> list[str]:
    return [f"{one.kind} to {one.recipient[0]}: {one.state}" for one in world.deliveries.values()]


SENT = (Do("take"), Do("end", (Outcome.SENT,)))
PRESCRIBED, OTHER_WORDS, OTHER_RECIPIENT = (Do("write", ("active", *to)) for to in ((A, "x"), (A, "y"), (B, "x")))


@pytest.mark.parametrize(
    ("steps", "letters"),
    [
        ([Do("write", ("draft", A, "x"))], []),
        ([Do("write", ("active", "", "x"))], []),
        ([Do("write", ("draft", A, "x")), PRESCRIBED], ["new to a: waiting"]),
        ([PRESCRIBED, PRESCRIBED], ["new to a: waiting"]),
        ([PRESCRIBED, OTHER_WORDS], ["new to a: withdrawn", "new to a: waiting"]),
        ([PRESCRIBED, *SENT, PRESCRIBED], ["new to a: sent"]),
        ([PRESCRIBED, *SENT, OTHER_WORDS], ["new to a: sent", "revision to a: waiting"]),
        ([PRESCRIBED, *SENT, OTHER_WORDS, PRESCRIBED], ["new to a: sent", "revision to a: withdrawn"]),
        (
            [PRESCRIBED, *SENT, OTHER_WORDS, Do("take"), Do("end", (Outcome.REFUSED,)), PRESCRIBED],
            ["new to a: sent", "revision to a: withdrawn"],  # or a replay would send words that are no more
        ),
        ([PRESCRIBED, OTHER_RECIPIENT], ["new to a: withdrawn", "new to b: waiting"]),
        ([PRESCRIBED, *SENT, OTHER_RECIPIENT], ["new to a: sent", "cancellation to a: waiting", "new to b: waiting"]),
        *(
            ([PRESCRIBED, *SENT, end], ["new to a: sent", "cancellation to a: waiting"])
            for end in (
                Do("delete"),
                Do("write", ("active", "", "x")),
                *(Do("write", (status, A, "x")) for status in ("on-hold", "stopped", "cancelled", "entered-in-error")),
            )
        ),
        ([PRESCRIBED, Do("delete")], ["new to a: withdrawn"]),
        ([PRESCRIBED, *SENT, Do("write", ("completed", A, "x"))], ["new to a: sent"]),
        ([PRESCRIBED, *SENT, Do("write", ("completed", A, "x")), Do("delete")], ["new to a: sent"]),
        ([PRESCRIBED, Do("write", ("completed", A, "x"))], ["new to a: withdrawn"]),
        (
            [PRESCRIBED, *SENT, Do("write", ("on-hold", A, "x")), *SENT, PRESCRIBED],
            ["new to a: sent", "cancellation to a: sent", "new to a: waiting"],
        ),
        (
            [PRESCRIBED, Do("take"), OTHER_WORDS, Do("end", (Outcome.LATER,)), Do("take")],
            ["new to a: withdrawn", "new to a: sending"],
        ),
        (
            [PRESCRIBED, Do("take"), Do("delete"), Do("end", (Outcome.REFUSED,)), Do("take")],
            ["new to a: failed", "cancellation to a: withdrawn"],
        ),
        (
            [PRESCRIBED, Do("take"), Do("end", (Outcome.UNCERTAIN,)), OTHER_WORDS],
            ["new to a: uncertain", "revision to a: waiting"],
        ),
    ],
)
def test_what_a_write_means_for_the_mail(steps: list[Step], letters: list[str]) -> None:
    """The rules one by one, as they were agreed on."""
    assert told(lived(*steps)) == letters
