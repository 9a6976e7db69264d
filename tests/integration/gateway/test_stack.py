"""The whole way on real processes: HTTP, mesh, gRPC, service, SQLite, and back."""

import json
import signal
import urllib.error
import urllib.request
from itertools import count
from typing import Any

import pytest

from gateway.examples import NEW_PRESCRIPTION, NEW_RECORD
from tests.fakes.waiting import wait_until
from tests.stack import Stack, get

pytestmark = pytest.mark.xdist_group("stack")

PATIENTS = count(1_000_000)
NOUNS = ["record", "prescription"]


def ask(stack: Stack, verb: str, path: str, body: Any = None) -> tuple[int, Any, Any]:
    """A request: status, headers, JSON."""
    raw = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if raw else {}
    request = urllib.request.Request(stack.url + path, raw, headers, method=verb)
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.loads(error.read())


def new(noun: str, **changes: Any) -> dict[str, Any]:
    body = NEW_RECORD if noun == "record" else NEW_PRESCRIPTION
    return {**body, "patient_id": next(PATIENTS), "source_id": "", **changes}


@pytest.mark.parametrize("noun", NOUNS)
def test_a_thing_is_written_read_changed_and_deleted(stack: Stack, noun: str) -> None:
    """The life of a record, by both names, and what remains of it."""
    status, headers, made = ask(stack, "POST", f"/{noun}s", new(noun))
    place, key = headers["Location"], f"{noun}_id"
    assert (status, made["version"], made["updated_by"]) == (201, 1, "local")
    assert place == f"/patients/{made['patient_id']}/{noun}s/{made[key]}"
    assert ask(stack, "GET", place)[2] == made
    assert ask(stack, "GET", f"/{noun}s/{made['patient_id']}")[2] == {
        "patient_id": made["patient_id"],
        f"{noun}s": [made],
        "next_cursor": "",
    }
    status, _, changed = ask(stack, "PUT", place, {**made, "doctor_id": 9})
    assert (status, changed["doctor_id"], changed["version"]) == (200, 9, 2)
    assert changed["created_at"] == made["created_at"]
    assert ask(stack, "PUT", f"/{noun}s/{made[key]}", {**changed, "doctor_id": 8})[2]["version"] == 3
    assert ask(stack, "DELETE", place)[0] == 204
    assert [ask(stack, verb, place)[0] for verb in ("GET", "DELETE")] == [410, 410]
    assert ask(stack, "PUT", place, made)[0] == 410
    assert ask(stack, "GET", f"/{noun}s/{made['patient_id']}")[2][f"{noun}s"] == []


@pytest.mark.parametrize("noun", NOUNS)
def test_another_patients_thing_is_404_whatever_is_done_to_it(stack: Stack, noun: str) -> None:
    """By the unambiguous name; by its own id alone a change of patient is a mistake in the body."""
    _, _, made = ask(stack, "POST", f"/{noun}s", new(noun))
    other = next(PATIENTS)
    place = f"/patients/{other}/{noun}s/{made[f'{noun}_id']}"
    assert [ask(stack, verb, place)[0] for verb in ("GET", "DELETE")] == [404, 404]
    assert ask(stack, "PUT", place, {**made, "patient_id": other})[0] == 404
    status, _, told = ask(stack, "PUT", f"/{noun}s/{made[f'{noun}_id']}", {**made, "patient_id": other})
    assert (status, [error["field"] for error in told["errors"]]) == (400, ["patient_id"])
    assert ask(stack, "GET", f"/patients/{made['patient_id']}/{noun}s/{made[f'{noun}_id']}")[2] == made


@pytest.mark.parametrize("noun", NOUNS)
def test_pages_show_everything_once_newest_first(stack: Stack, noun: str) -> None:
    """Following next_cursor from page to page; a cursor of another patient is refused."""
    patient, day = next(PATIENTS), "date" if noun == "record" else "written_on"
    days = ["2026-01-02", "2026-01-01", "2026-01-02", "2025-12-31", "2026-01-01"]
    for one in days:
        assert ask(stack, "POST", f"/{noun}s", new(noun, patient_id=patient, **{day: one}))[0] == 201
    seen: list[dict[str, Any]] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        page = ask(stack, "GET", f"/{noun}s/{patient}?limit=2" + (f"&cursor={cursor}" if cursor else ""))[2]
        seen, cursor, pages = [*seen, *page[f"{noun}s"]], page["next_cursor"], pages + 1
        if pages == 1:
            assert ask(stack, "GET", f"/{noun}s/{next(PATIENTS)}?cursor={cursor}")[0] == 400
    assert pages == 3
    order = [(item[day], item[f"{noun}_id"]) for item in seen]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == len(days)


@pytest.mark.parametrize("noun", NOUNS)
def test_a_source_id_is_written_once_and_its_holder_is_named(stack: Stack, noun: str) -> None:
    """Kept for good, after a deletion too."""
    body = new(noun, source_id=f"visit-{next(PATIENTS)}")
    _, headers, _ = ask(stack, "POST", f"/{noun}s", body)
    again = ask(stack, "POST", f"/{noun}s", {**body, "patient_id": next(PATIENTS)})
    assert (again[0], again[1]["Location"]) == (409, headers["Location"])
    assert ask(stack, "DELETE", headers["Location"])[0] == 204
    assert ask(stack, "POST", f"/{noun}s", body)[0] == 409


TEXTS = [
    "Příliš žluťoučký kůň úpěl",
    "الحساسية من البنسلين",
    "高血压,每日一次",
    "😀👩‍⚕️🩺",
    "a\n\tb",
    "\u2028\u202e\ufeff",
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back_byte_for_byte(stack: Stack, text: str) -> None:
    """Through JSON, protobuf and SQLite."""
    _, headers, made = ask(stack, "POST", "/records", new("record", record_text=text))
    read = ask(stack, "GET", headers["Location"])[2]
    assert made["record_text"].encode() == read["record_text"].encode() == text.encode()
    medication = {"medication_name": "x", "sig": text, "reason": text, "refills": 0}
    _, headers, _ = ask(stack, "POST", "/prescriptions", new("prescription", medications=[medication]))
    stored = ask(stack, "GET", headers["Location"])[2]["medications"][0]
    assert (stored["sig"], stored["reason"], stored["refills"], stored["days_supply"]) == (text, text, 0, None)


def test_health_names_the_endpoints_that_the_registry_named(stack: Stack) -> None:
    """Found through leases, probed, at work."""
    told = ask(stack, "GET", "/health")[2]
    assert {service["service"]: service["state"] for service in told["services"]} == {
        "records": "up",
        "prescriptions": "up",
    }


def test_a_service_that_is_gone_is_503_and_answers_again_once_it_is_back(stack: Stack) -> None:
    """The other service goes on meanwhile; nothing has to be restarted but what ended."""
    records = stack.processes["records.1"]
    records.send(signal.SIGKILL)
    try:
        wait_until(lambda: ask(stack, "GET", "/records/7")[0] == 503)
        status, headers, told = ask(stack, "POST", "/records", new("record"))
        assert (status, told["title"]) == (503, "The service cannot be reached now")
        assert int(headers["Retry-After"]) >= 1
        assert ask(stack, "GET", "/prescriptions/7")[0] == 200
        assert [get(f"{stack.url}/{path}")[0] for path in ("health", "readyz")] == [503, 200]
    finally:
        records.start()
        stack.wait_until_ready()
    assert ask(stack, "POST", "/records", new("record"))[0] == 201
