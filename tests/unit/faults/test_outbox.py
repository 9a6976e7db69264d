"""The checks of mail can fail: each of them, on the smallest story that breaks it."""

from dataclasses import dataclass, field

import pytest

from tests.faults.outbox import Arrived, Row, check
from tests.faults.relay_away import LINKS, overtaken

NEW = Row(1, 7, 1, "new", "sent", "<new>", "", 0, False, "", "a@example.org")
REVISION = Row(2, 7, 2, "revision", "sent", "<change>", "<new>", 0, False, "", "a@example.org")
CANCELLATION = Row(2, 7, 1, "cancellation", "sent", "<end>", "<new>", 0, False, "", "a@example.org")
REFUSED = NEW._replace(state="failed", last_error="RCPT 550 5.1.1")


@dataclass
class Story:
    """What is in the outbox, what arrived how often, and what was acknowledged."""

    rows: list[Row]
    arrived: dict[str, int] = field(default_factory=lambda: {"<new>": 1})
    written: tuple[int, ...] = (7,)
    changed: tuple[int, ...] = ()
    deleted: tuple[int, ...] = ()

    def found(self) -> set[str]:
        arrived: Arrived = {(name, ("a@example.org",)): times for name, times in self.arrived.items()}
        return {told.partition(":")[0] for told in check(self.rows, arrived, self.written, self.changed, self.deleted)}


@pytest.mark.parametrize(
    "story",
    [
        Story([NEW]),
        Story([NEW._replace(doubts=1)], {"<new>": 2}),
        Story([REFUSED], {}),
        Story([NEW, REVISION], {"<new>": 1, "<change>": 1}, changed=(7,)),
        Story([NEW._replace(state="withdrawn"), REVISION], {"<change>": 1}, changed=(7,)),
        Story([NEW._replace(state="withdrawn")], {}, deleted=(7,)),
        Story([NEW, CANCELLATION], {"<new>": 1, "<end>": 1}, deleted=(7,)),
    ],
)
def test_a_story_in_which_every_promise_was_kept_has_no_findings(story: Story) -> None:
    """A check that cries wolf is switched off."""
    assert story.found() == set()


@pytest.mark.parametrize(
    ("name", "story"),
    [
        ("none lost", Story([], {})),
        ("none lost", Story([NEW._replace(state="sending")])),
        ("none lost", Story([NEW._replace(state="uncertain", due=True)])),
        ("sent means arrived", Story([NEW], {})),
        ("none lost", Story([NEW._replace(state="withdrawn")], {})),
        ("none lost", Story([NEW], changed=(7,))),
        ("none lost", Story([NEW, REVISION._replace(state="withdrawn")], changed=(7,))),
        ("failed means refused for good", Story([REFUSED._replace(last_error="RCPT 450 4.2.0")], {})),
        ("failed means not arrived", Story([REFUSED])),
        ("failed means not arrived", Story([NEW._replace(state="withdrawn")])),
        ("twice only in doubt", Story([NEW], {"<new>": 2})),
        ("nothing foreign", Story([NEW], {"<new>": 1, "<other>": 1})),
        ("nothing foreign", Story([NEW], written=())),
        ("who has a letter learns that it is void", Story([NEW], deleted=(7,))),
        (
            "who has a letter learns that it is void",
            Story([NEW, CANCELLATION._replace(state="withdrawn")], deleted=(7,)),
        ),
        ("nothing is void by itself", Story([NEW, CANCELLATION], {"<new>": 1, "<end>": 1})),
    ],
)
def test_each_broken_promise_is_found_by_the_check_that_names_it(name: str, story: Story) -> None:
    """A check that finds nothing where there is something loses a letter."""
    assert name in story.found()


def test_a_letter_may_overtake_only_those_that_are_under_way_beside_it() -> None:
    """Two links send at once; whoever is further ahead jumped the queue."""
    assert overtaken([1, 2, 3, 4, 5]) == []
    assert overtaken([1 + LINKS, 1, 2, 4, 5]) == []
    assert overtaken([2 + LINKS, 1, 2, 3, 5]) != []
