"""The events of the last requests are kept: whole, within bounds, and those that went wrong for longer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh import events
from mesh.events import (
    AttemptEnded,
    AttemptStarted,
    BreakerChanged,
    Chosen,
    EndpointsChanged,
    Event,
    NotRetried,
    ProbeChanged,
    RegistryChanged,
)
from observability import stories
from observability.rows import shape_of, size
from observability.stories import Stories

METHOD = "/caremesh.v1.PatientRecordsService/GetPatientRecords"
OPENED = BreakerChanged("records", "a:1", "closed", "open", "5 failures in a row")


def every_event() -> list[type[Event]]:
    return [
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    ]


def attempt(request_id: str, outcome: str = "ok", secret: str = "") -> Iterator[Event]:
    started = AttemptStarted(METHOD, request_id, "a:1", 1, 0.6, {"idempotency-key": secret})
    yield started
    yield AttemptEnded(started, outcome, 0.5)


@dataclass
class Kept:
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.stories = Stories(lambda: self.now)

    def tell(self, *told: Event) -> None:
        for event in told:
            self.stories(event)

    def size(self) -> int:
        return self.stories._recent._bytes + self.stories._wrong._bytes


def test_a_request_is_told_with_what_happened_around_it_in_its_own_milliseconds() -> None:
    """A breaker that opened just before is the reason for what the request met."""
    kept = Kept()
    kept.tell(BreakerChanged("records", "a:1", "half-open", "closed", "the trial succeeded"))
    kept.now += stories.BEFORE
    kept.tell(OPENED)
    kept.now += 1.0
    started, ended = attempt("r-1")
    kept.tell(started)
    kept.now += 0.5
    kept.tell(ended)
    kept.now += 1.0
    kept.tell(OPENED)
    told = kept.stories.told("r-1")
    assert told is not None
    assert [(event["event"], event["ms"]) for event in told["events"]] == [("AttemptStarted", 0), ("AttemptEnded", 500)]
    assert told["events"][1] | {"endpoint": "a:1", "number": 1, "outcome": "ok"} == told["events"][1]
    assert [event["ms"] for event in told["around"]] == [-1000]
    assert json.loads(json.dumps(told)) == told


def test_what_had_gone_wrong_long_before_and_was_so_still_is_told_too() -> None:
    """An endpoint that has been away for an hour is why the other one was asked; what is well again is no reason."""
    kept = Kept()
    kept.tell(
        ProbeChanged("records", "away:1", "serving", "unreachable"),
        ProbeChanged("records", "back:1", "serving", "unreachable"),
        ProbeChanged("records", "gone:1", "serving", "unreachable"),
        EndpointsChanged("records", (), ("gone:1",), "withdrawn"),
        RegistryChanged("r:1", reachable=False, reason="timeout"),
        RegistryChanged("r:2", reachable=True, reason="answers"),
        ProbeChanged("records", "back:1", "unreachable", "serving"),
    )
    kept.now += 3600
    kept.tell(*attempt("r-1"))
    kept.now += 1
    kept.tell(ProbeChanged("records", "away:1", "unreachable", "serving"))
    told = kept.stories.told("r-1")
    assert told is not None
    assert [event.get("endpoint", event.get("registry")) for event in told["around"]] == ["away:1", "r:1"]
    assert {event["ms"] for event in told["around"]} == {-3_600_000 + 500}


def test_what_travels_beside_a_message_is_not_kept() -> None:
    """Keys and principals are nobody's story."""
    kept = Kept()
    kept.tell(*attempt("r-1", secret="whose-key"))
    assert "whose-key" not in json.dumps(kept.stories.told("r-1"))


@pytest.mark.parametrize("kind", every_event())
def test_every_kind_of_event_has_a_shape(kind: type[Event]) -> None:
    """A new event must not make the listener fail; the fields of an event that it ends belong to it."""
    shape = shape_of(kind)
    assert shape.kind is kind
    assert "metadata" not in shape.fields
    assert "started" not in shape.fields


async def test_a_request_that_nothing_is_known_of_is_said_to_be_unknown_with_what_is_remembered() -> None:
    """So that the asker knows whether it came too late."""
    kept = Kept()
    kept.tell(*attempt("r-1"), *attempt("r-2", "lost"))
    told = await kept.stories.asked({"request_id": "r-3"})
    assert told["story"] is None
    assert (told["remembers"]["requests"], told["remembers"]["wrong"]) == (1, 1)
    assert (await kept.stories.asked({"request_id": "r-2"}))["story"]["request_id"] == "r-2"
    assert (await kept.stories.asked({}))["story"] is None


def test_what_went_wrong_is_not_pushed_out_by_what_went_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under load a failure would be forgotten before anybody has read of it."""
    monkeypatch.setattr(stories, "REQUESTS", 10)
    kept = Kept()
    kept.tell(*attempt("bad", "lost"))
    for number in range(100):
        kept.tell(*attempt(f"good-{number}"))
    assert kept.stories.told("bad")
    assert kept.stories.told("good-99")
    assert kept.stories.told("good-89") is None


def test_a_request_that_goes_wrong_late_is_kept_with_its_beginning() -> None:
    """The first attempt is the better half of the story."""
    kept = Kept()
    kept.tell(
        Chosen(METHOD, "r-1", "a:1", "cheaper", (("a:1", 0.1), ("b:2", 0.2)), 2, 2),
        *attempt("r-1", "lost"),
        NotRetried(METHOD, "r-1", 1, "lost", "late", 9),
    )
    told = kept.stories.told("r-1")
    assert told is not None
    assert [event["event"] for event in told["events"]] == ["Chosen", "AttemptStarted", "AttemptEnded", "NotRetried"]


def test_of_a_request_without_end_only_the_last_events_are_kept_and_it_is_said() -> None:
    """A client that sends all its requests under one id must not fill the memory."""
    kept = Kept()
    for _ in range(stories.EVENTS):
        kept.tell(*attempt("r-1"))
    told = kept.stories.told("r-1")
    assert told is not None
    assert (len(told["events"]), told["left_out"]) == (stories.EVENTS, stories.EVENTS)


def test_calls_that_no_request_made_are_not_kept() -> None:
    """Background work without an id would push out what tells why."""
    kept = Kept()
    kept.tell(*attempt(""), OPENED, *attempt("r-1"))
    told = kept.stories.told("r-1")
    assert told is not None
    assert [event["event"] for event in told["around"]] == ["BreakerChanged"]


ASKED = st.tuples(st.integers(0, 12), st.sampled_from(["ok", "lost", "a" * 300]))


@given(st.lists(ASKED, max_size=200))
def test_memory_stays_within_its_bounds_whatever_comes(asked: list[tuple[int, str]]) -> None:
    """Counted is what is held, and what is held is counted: else the bound means nothing."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stories, "REQUESTS", 5)
        patched.setattr(stories, "BYTES", 6000)
        patched.setattr(stories, "EVENTS", 7)
        kept, numbers = Kept(), count()
        for request, outcome in asked:
            kept.now += next(numbers)
            kept.tell(*attempt(f"r-{request}", outcome))
            for shelf in (kept.stories._recent, kept.stories._wrong):
                held = [size(row) for story in shelf._stories.values() for row in story.rows]
                assert sum(held) == shelf._bytes <= 6000
                assert len(shelf) <= 5
                assert all(story.rows for story in shelf._stories.values())
