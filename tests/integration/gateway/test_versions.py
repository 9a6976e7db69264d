"""Versions and keys over real processes: who changes what nobody else has changed, and what is done once."""

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from gateway.examples import NEW_PRESCRIPTION, NEW_RECORD
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")

PATIENTS = count(3_000_000)
NOUNS = ["record", "prescription"]
SAME = ("ETag", "Location", "Idempotency-Key", "Content-Type")


class Answer(NamedTuple):
    """What a client got."""

    status: int
    body: bytes
    headers: Message

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def promised(self) -> tuple[Any, ...]:
        """What a repetition must have the same."""
        return (self.status, self.body, *(self.headers.get(name) for name in SAME))


def ask(stack: Stack, verb: str, path: str, body: Any = None, /, **headers: str) -> Answer:
    """A request; `If_Match="…"` is a header."""
    sent = None if body is None else json.dumps(body).encode()
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(stack.url + path, sent, {**told, "Content-Type": "application/json"}, method=verb)
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return Answer(answer.status, answer.read(), answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(), error.headers)


def new(noun: str, **changes: Any) -> dict[str, Any]:
    body = NEW_RECORD if noun == "record" else NEW_PRESCRIPTION
    return {**body, "patient_id": next(PATIENTS), "source_id": "", **changes}


def made(stack: Stack, noun: str, **changes: Any) -> tuple[str, str, dict[str, Any]]:
    """A thing that was just written: its place, its tag, itself."""
    answer = ask(stack, "POST", f"/{noun}s", new(noun, **changes))
    assert answer.status == 201
    return answer.headers["Location"], answer.headers["ETag"], answer.json


@pytest.mark.parametrize("noun", NOUNS)
def test_a_change_happens_only_to_the_version_that_was_seen(stack: Stack, noun: str) -> None:
    """Each answer's ETag is the next If-Match; an older one is 412 and leaves all as it was."""
    place, first, thing = made(stack, noun)
    read = ask(stack, "GET", place)
    assert (read.headers["ETag"], ask(stack, "GET", place, If_None_Match=first).status) == (first, 304)
    changed = ask(stack, "PUT", place, {**thing, "doctor_id": 9}, If_Match=f'"x", {first}')
    second = changed.headers["ETag"]
    assert (changed.status, second == first, changed.json["version"]) == (200, False, 2)
    assert ask(stack, "GET", place, If_None_Match=first).json == changed.json
    for verb, body, tag in (("PUT", thing, first), ("DELETE", None, first), ("DELETE", None, f"W/{second}")):
        refused = ask(stack, verb, place, body, If_Match=tag)
        assert (refused.status, refused.json["type"]) == (412, "urn:caremesh:problem:version-mismatch")
    assert ask(stack, "GET", place).json == changed.json
    assert ask(stack, "PUT", f"/{noun}s/{thing[f'{noun}_id']}", thing, If_Match=f"{first},{second}").status == 200
    assert ask(stack, "DELETE", place, If_Match="*").status == 204
    assert ask(stack, "PUT", place, thing, If_Match=first).status == 410


@pytest.mark.parametrize("noun", NOUNS)
def test_a_repeated_write_gets_the_first_answer_and_is_done_once(stack: Stack, noun: str) -> None:
    """POST, PUT and DELETE, the last after the thing has moved on and after it is gone."""
    keys = [str(uuid4()) for _ in range(3)]
    body = new(noun)
    created = [ask(stack, "POST", f"/{noun}s", body, Idempotency_Key=keys[0]) for _ in range(2)]
    assert created[0].status == 201
    place, tag, thing = created[0].headers["Location"], created[0].headers["ETag"], created[0].json
    put = {**thing, "doctor_id": 9}
    both = f'{tag}, {tag[:-2]}2"'
    changed = [ask(stack, "PUT", place, put, Idempotency_Key=keys[1], If_Match=tags) for tags in (both, both)]
    assert ask(stack, "PUT", place, thing).json["version"] == 3
    changed.append(ask(stack, "PUT", place, put, Idempotency_Key=keys[1], If_Match=both))
    deleted = [ask(stack, "DELETE", place, Idempotency_Key=keys[2]) for _ in range(2)]
    created.append(ask(stack, "POST", f"/{noun}s", body, Idempotency_Key=keys[0]))
    for status, answers in ((201, created), (200, changed), (204, deleted)):
        assert {answer.promised for answer in answers} == {answers[0].promised}
        assert answers[0].status == status
    assert ask(stack, "DELETE", place, Idempotency_Key=str(uuid4())).status == 410
    assert ask(stack, "GET", f"/{noun}s/{thing['patient_id']}").json[f"{noun}s"] == []
    assert [one["version"] for one in ask(stack, "GET", f"{place}/history").json["versions"]] == [4, 3, 2, 1]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_key_of_another_request_is_422(stack: Stack, noun: str) -> None:
    """Another body, another thing, another expected version; another method has keys of its own."""
    key, body = str(uuid4()), new(noun)
    first = ask(stack, "POST", f"/{noun}s", body, Idempotency_Key=key)
    place, thing = first.headers["Location"], first.json
    again = ask(stack, "POST", f"/{noun}s", {**body, "doctor_id": 9}, Idempotency_Key=key)
    assert (again.status, [error["field"] for error in again.json["errors"]]) == (422, ["Idempotency-Key"])
    assert ask(stack, "PUT", place, thing, Idempotency_Key=key).status == 200
    assert ask(stack, "PUT", place, thing, Idempotency_Key=key, If_Match='"1.1"').status == 422
    other = made(stack, noun)
    assert ask(stack, "PUT", other[0], other[2], Idempotency_Key=key).status == 422


@pytest.mark.parametrize("noun", NOUNS)
def test_a_refusal_uses_no_key_up(stack: Stack, noun: str) -> None:
    """The same key may be used again once the reason is gone."""
    place, tag, thing = made(stack, noun)
    key = str(uuid4())
    assert ask(stack, "PUT", place, thing, Idempotency_Key=key, If_Match='"1.999"').status == 412
    assert ask(stack, "PUT", place, thing, Idempotency_Key=key, If_Match=tag).status == 200


def test_twenty_copies_at_once_are_one_record_and_one_answer(stack: Stack) -> None:
    """Whichever comes first, the others wait for its answer."""
    key, body = str(uuid4()), new("record")
    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(
                lambda _: ask(stack, "POST", "/records", body, Idempotency_Key=key, Request_Timeout="2"), range(20)
            )
        )
    assert {answer.promised for answer in answers} == {answers[0].promised}
    assert answers[0].status == 201
    assert len(ask(stack, "GET", f"/records/{body['patient_id']}").json["records"]) == 1


@pytest.mark.parametrize("noun", NOUNS)
def test_a_history_has_every_version_as_it_was_and_outlives_the_thing(stack: Stack, noun: str) -> None:
    """Newest first, page by page, with who and when; another patient sees none of it."""
    place, _, thing = made(stack, noun)
    versions = [thing]
    versions += [ask(stack, "PUT", place, {**thing, "doctor_id": doctor}).json for doctor in (4, 5)]
    assert ask(stack, "DELETE", place).status == 204
    seen: list[dict[str, Any]] = []
    cursor, pages = "", 0
    while not pages or cursor:
        page = ask(stack, "GET", f"{place}/history?limit=3" + (f"&cursor={cursor}" if cursor else "")).json
        seen, cursor, pages = [*seen, *page["versions"]], page["next_cursor"], pages + 1
    assert pages == 2
    gone, *rest = seen
    assert rest == versions[::-1]
    assert (gone["version"], gone["deleted"], gone["doctor_id"], gone["updated_by"]) == (4, True, 5, "local")
    assert gone["updated_at"] > rest[0]["updated_at"] > rest[1]["updated_at"]
    number = thing[f"{noun}_id"]
    assert ask(stack, "GET", f"/patients/{next(PATIENTS)}/{noun}s/{number}/history").status == 404
    tag = ask(stack, "GET", f"{place}/history").headers["ETag"]
    assert ask(stack, "GET", f"{place}/history", If_None_Match=tag).status == 304


def test_a_list_of_one_category_has_it_alone_and_its_cursor_is_its_own(stack: Stack) -> None:
    """Page by page; a cursor of another filter is refused."""
    patient = next(PATIENTS)
    for category in ("note", "diagnosis", "note", "treatment-plan", "note"):
        made(stack, "record", patient_id=patient, category=category)
    first = ask(stack, "GET", f"/records/{patient}?category=note&limit=2").json
    second = ask(stack, "GET", f"/records/{patient}?category=note&limit=2&cursor={first['next_cursor']}").json
    found = first["records"] + second["records"]
    assert ([one["category"] for one in found], second["next_cursor"]) == (["note"] * 3, "")
    for query in ("", "category=diagnosis&"):
        answer = ask(stack, "GET", f"/records/{patient}?{query}cursor={first['next_cursor']}")
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, "cursor")


def test_a_status_takes_legal_steps_only_and_a_refusal_names_them(stack: Stack) -> None:
    """From draft through active and on-hold to its end."""
    place, _, thing = made(stack, "prescription", status="draft")
    for status in ("draft", "active", "on-hold", "active", "completed"):
        assert ask(stack, "PUT", place, {**thing, "status": status}).status == 200
    refused = ask(stack, "PUT", place, {**thing, "status": "active"})
    assert (refused.status, refused.json["type"]) == (409, "urn:caremesh:problem:illegal-step")
    assert refused.json["legal_steps"] == ["entered-in-error"]
    assert "entered-in-error" in refused.json["detail"]
    assert ask(stack, "GET", place).json["status"] == "completed"


@pytest.mark.parametrize("unnamed", [{}, {"status": ""}], ids=["absent", "empty"])
def test_a_replacement_that_names_no_status_leaves_it(stack: Stack, unnamed: dict[str, Any]) -> None:
    """To correct a name must not take up again what was on hold."""
    place, _, thing = made(stack, "prescription")
    assert ask(stack, "PUT", place, {**thing, "status": "on-hold"}).status == 200
    body = {name: value for name, value in thing.items() if name not in ("status", "written_on")}
    answer = ask(stack, "PUT", place, {**body, **unnamed, "patient_name": "Jana"})
    told = {name: answer.json[name] for name in ("status", "written_on", "patient_name")}
    assert told == {"status": "on-hold", "written_on": thing["written_on"], "patient_name": "Jana"}


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("value", [None, 0])
def test_an_id_in_a_replacement_is_the_paths_or_absent(stack: Stack, noun: str, value: int | None) -> None:
    """Null and 0 are no ids: a client that sends them has lost the one that it meant."""
    place, _, thing = made(stack, noun)
    for field in (f"{noun}_id", "patient_id"):
        refused = ask(stack, "PUT", place, {**thing, field: value})
        assert (refused.status, [one["field"] for one in refused.json["errors"]]) == (400, [field])
    without = {name: value for name, value in thing.items() if name != f"{noun}_id"}
    assert ask(stack, "PUT", place, without).status == 200


def test_a_deletion_by_the_other_path_is_another_request(stack: Stack) -> None:
    """As the document says: who repeats a request repeats its path."""
    place, _, thing = made(stack, "record")
    short, key = f"/records/{thing['record_id']}", {"Idempotency_Key": str(uuid4())}
    assert [ask(stack, "DELETE", path, **key).status for path in (place, place, short)] == [204, 204, 422]
