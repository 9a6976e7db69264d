"""`caremesh explain` has words for everything that can happen to a request, and says where its time went."""

import json
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import pytest

from caremesh.explain.reasons import OUTCOMES, WHY, outcome, why
from caremesh.explain.story import around, lines
from caremesh.explain.words import TOLD, told
from gateway.http.exchange import Answered
from mesh import events
from mesh.decide.repeat import WhyNot
from mesh.events import (
    AttemptEnded,
    AttemptStarted,
    BreakerChanged,
    CallEnded,
    CallStarted,
    EndpointsChanged,
    Event,
    NobodyToAsk,
    NotRetried,
    Retried,
    ServerEnded,
    ServerStarted,
)
from mesh.status import Status
from observability.stories import Stories
from tests.fakes.reasons import reasons

METHOD = "/caremesh.v1.PatientRecordsService/GetPatientRecords"
OF_A_SERVER: set[type[Event]] = {ServerStarted, ServerEnded}
KINDS = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]
TOLD_KINDS = [kind for kind in [*KINDS, Answered] if kind not in {Event, *OF_A_SERVER}]
SAMPLES: Mapping[Any, Any] = {
    str: "some-word",
    int: 17,
    float: 0.25,
    bool: False,
    tuple[str, ...]: ("127.0.0.1:7",),
    tuple[tuple[str, float], ...]: (("127.0.0.1:7", 0.125), ("127.0.0.1:8", 0.5)),
}
NAMED: Mapping[str, Any] = {
    "method": METHOD,
    "request_id": "r-1",
    "reason": "budget_spent",
    "outcome": "link_broke",
    "how": "stale",
}


def sample(kind: type[Event]) -> Any:
    """One event of a kind, with something to be found again in each of its fields."""
    fields = {name: hint for name, hint in get_type_hints(kind).items() if not name.startswith("_")}
    return kind(**{name: value_of(name, hint) for name, hint in fields.items()})


def value_of(name: str, hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, Event):
        return sample(hint)
    return {} if name == "metadata" else NAMED.get(name, SAMPLES.get(hint))


class Kept:
    """Events told at moments of our own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stories = Stories(lambda: self.now)

    def at(self, seconds: float, *told: Event) -> None:
        self.now = 100.0 + seconds
        for event in told:
            self.stories(event)

    def story(self) -> Any:
        return json.loads(json.dumps(self.stories.told("r-1")))


def test_every_event_that_a_request_can_meet_has_words() -> None:
    """A decision that is not told is the one that is asked about."""
    assert {kind.__name__ for kind in TOLD_KINDS} == set(TOLD)


@pytest.mark.parametrize("kind", TOLD_KINDS, ids=lambda kind: kind.__name__)
def test_the_words_tell_each_of_its_fields(kind: type[Event]) -> None:
    """An endpoint or a reason that is left out of the text is as good as not kept."""
    kept = Kept()
    kept.at(0.0, sample(AttemptStarted), sample(kind), sample(AttemptStarted))
    story = kept.story()
    event = next(one for one in story["events"] + story["around"] if one["event"] == kind.__name__)
    text, ends = told(event), kind.__name__.endswith("Ended")
    for name, value in event.items():
        if name == "reason" and not ends:
            assert why(value) in text or value in text
        elif name == "outcome" and kind is not Answered:
            assert outcome(value) in text or value in text
        elif name in {"endpoint", "service", "policy", "what", "registry", "after", "error", "status", "budget"}:
            assert str(value) in text
        elif name in {"added", "removed"}:
            assert value[0] in text
        elif name == "weighed":
            assert "127.0.0.1:7 at 125 ms against 127.0.0.1:8 at 500 ms" in text
        elif name in {"seconds", "delay", "age"} or (name == "granted" and not ends):
            assert "250 ms" in text
    assert "None" not in text


def test_every_reason_that_the_mesh_can_give_has_words() -> None:
    """A word like unknown tells nobody anything, and a bare word of the code not much more."""
    assert reasons() - OUTCOMES.keys() - WHY.keys() == set()
    assert set(get_args(WhyNot)) <= WHY.keys()
    assert not any("unknown" in text for text in (*OUTCOMES.values(), *WHY.values()))


def test_every_status_is_told_by_its_name() -> None:
    """Whoever runs a service knows them by these."""
    for status in Status:
        assert outcome(f"status_{status.name.lower()}") == f"is answered {status.name}"


def test_an_event_that_this_version_does_not_know_is_told_with_its_fields() -> None:
    """While gateways are restarted one by one, the command may be the older one."""
    assert told({"event": "Foreseen", "ms": 1.0, "request_id": "r-1", "after": 3}) == "Foreseen: after 3"


def failing() -> Kept:
    """Two attempts that end badly, a breaker that opened before."""
    kept = Kept()
    kept.at(-5.0, EndpointsChanged("records", ("a:1", "b:2", "c:3"), (), "named"))
    kept.at(-4.0, EndpointsChanged("prescriptions", ("d:4",), (), "named"))
    kept.at(-3.0, BreakerChanged("records", "b:2", "closed", "open", "5 failures in a row"))
    started = CallStarted(METHOD, "r-1", 1.95, "caller")
    first = AttemptStarted(METHOD, "r-1", "a:1", 1, 0.6, {})
    second = AttemptStarted(METHOD, "r-1", "c:3", 2, 0.6, {})
    kept.at(0.0, started, first)
    kept.at(0.6, AttemptEnded(first, "attempt_timeout", 0.6), Retried(METHOD, "r-1", 1, "attempt_timeout", 0.1, 99))
    kept.at(0.7, second)
    kept.at(0.8, AttemptEnded(second, "link_broke", 0.1), NotRetried(METHOD, "r-1", 2, "link_broke", "budget_spent", 0))
    kept.at(0.81, CallEnded(started, "link_broke", 0.81))
    kept.at(0.82, Answered("r-1", "GET", "/patients/{patient_id}/records", 504, "failed", 0.83))
    return kept


def test_a_story_says_who_was_asked_what_came_of_it_and_where_the_time_went() -> None:
    """The whole text, as a person reads it."""
    kept = failing()
    story = kept.story()
    head, *rest = lines(story, "gateway.1")
    assert head.startswith(
        "request r-1 at gateway.1, GET /patients/{patient_id}/records → 504 in 830 ms; it began at 2"
    )
    assert (
        "\n".join(rest)
        == """
       10.0 ms  PatientRecordsService.GetPatientRecords is called; 1.95 s are granted by whoever asked
       10.0 ms  attempt 1 goes to a:1 and has 600 ms
      610.0 ms  attempt 1 at a:1 gets no answer in the time that one attempt has, after 600 ms
      610.0 ms  attempt 1 ended in attempt_timeout: again in 100 ms; retries left: 99
      710.0 ms  attempt 2 goes to c:3 and has 600 ms
      810.0 ms  attempt 2 at c:3 gets no answer: its connection breaks, after 100 ms
      810.0 ms  attempt 2 ended in link_broke: not again, its service's budget for retries is spent; retries left: 0
      820.0 ms  the call ends in link_broke, after 810 ms
      830.0 ms  the client is answered 504, after 830 ms

where the time went:
  PatientRecordsService.GetPatientRecords had 1.95 s
      600 ms  attempt 1 at a:1
      100 ms  the pause after attempt 1
      100 ms  attempt 2 at c:3
       10 ms  the mesh itself, and waiting for a turn
      1.14 s  left over

around it:
               4.99 s before  records: a:1 comes, b:2 comes, c:3 comes: named
               2.99 s before  records: the breaker of b:2 is open: 5 failures in a row"""
    )


def test_the_shares_of_the_time_are_all_of_it() -> None:
    """A sum that does not add up hides where the deadline went."""
    text = "\n".join(lines(failing().story(), "gateway.1"))
    shares = [line.split()[:2] for line in text.partition("went:")[2].partition("around")[0].splitlines()[2:] if line]
    total = sum(float(number) * (1 if unit == "s" else 0.001) for number, unit in shares)
    assert total == pytest.approx(1.95, abs=0.01)


def test_around_a_request_is_what_befell_the_service_it_asked_or_every_one_where_it_found_nobody() -> None:
    """What another service went through is no reason; where nobody was found, that is the reason."""
    kept = Kept()
    kept.at(-2.0, BreakerChanged("records", "a:1", "closed", "open", "5 failures in a row"))
    kept.at(0.0, Answered("r-1", "GET", "/records/{id}", 400, "ok", 0.001))
    assert around(kept.story()) == []
    kept.at(0.1, NobodyToAsk(METHOD, "r-1", 1, "none_available"))
    assert [event["endpoint"] for event in around(kept.story())] == ["a:1"]


def test_a_request_under_way_and_one_with_a_long_past_are_told_as_such() -> None:
    """What is cut off or not over is not to be taken for the whole."""
    kept = Kept()
    kept.at(0.0, CallStarted(METHOD, "r-1", float("inf"), "caller"))
    text = "\n".join(lines({**kept.story(), "left_out": 7}, "gateway.1"))
    assert "which is not answered yet" in text
    assert "7 earlier events of this id are not remembered" in text
    assert "as long as it takes" in text
