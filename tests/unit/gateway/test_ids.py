"""An id is an id: everything else is refused before any service is asked, and never becomes another patient's."""

from typing import Any
from urllib.parse import quote

import pytest

from gateway.examples import NEW_PRESCRIPTION, NEW_RECORD
from gateway.http.parameters import read_id
from gateway.http.problems import FieldError
from tests.fakes.gateway import JSON, Gateway

WRONG = [
    "0",
    "-1",
    "2147483648",
    "4294967303",
    "٧",
    "7.0",
    "7e0",
    " 7",
    "7 ",
    "07",
    "+7",
    "%37",
    "7%00",
    "0x7",
    "",
    "x",
]
WRONG_IN_BODIES: list[Any] = [0, -1, 2147483648, 4294967303, "٧", "7", 7.0, 7e0, " 7", 7.5, True, None, [7], {}]

# (verb, path, what errors call the variable)
ROUTES = [
    (verb, path.replace("NOUN", noun), name.replace("NOUN", noun))
    for noun in ("record", "prescription")
    for verb, path, name in (
        ("GET", "/NOUNs/{}", "patient_id"),
        ("PUT", "/NOUNs/{}", "NOUN_id"),
        ("DELETE", "/NOUNs/{}", "NOUN_id"),
        ("GET", "/patients/{}/NOUNs", "patient_id"),
        ("GET", "/patients/{}/NOUNs/12/history", "patient_id"),
        ("GET", "/patients/7/NOUNs/{}/history", "NOUN_id"),
        *(
            (verb, path, name)
            for verb in ("GET", "PUT", "DELETE")
            for path, name in (("/patients/{}/NOUNs/12", "patient_id"), ("/patients/7/NOUNs/{}", "NOUN_id"))
        ),
    )
]


def body_of(path: str) -> dict[str, Any]:
    return NEW_RECORD if "records" in path else NEW_PRESCRIPTION


async def ask(gateway: Gateway, verb: str, target: str) -> Any:
    if verb == "PUT":
        return await gateway.post(target, body_of(target), "PUT")
    return await gateway.request(verb, target)


@pytest.mark.parametrize(("verb", "path", "name"), ROUTES)
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_path_id_outside_the_rule_is_400_and_reaches_nobody(
    verb: str, path: str, name: str, wrong: str
) -> None:
    """4294967303 is 7 once 32 bits are cut off; `٧` is 7 to Python's int()."""
    gateway = Gateway()
    answer = await ask(gateway, verb, path.format(wrong if "%" in wrong else quote(wrong)))
    if wrong:
        assert (answer.status, answer.fields) == (400, [name])
    else:
        assert answer.status == 404
    assert gateway.asked == []


@pytest.mark.parametrize(("verb", "path", "name"), ROUTES)
@pytest.mark.parametrize("right", ["1", "7", "2147483647"])
async def test_a_path_id_inside_the_rule_reaches_the_service_as_itself(
    verb: str, path: str, name: str, right: str
) -> None:
    """The other half of the test above: what is right is let through, in the right field."""
    gateway = Gateway()
    body = {**body_of(path), "patient_id": int(right) if name == "patient_id" and verb == "PUT" else 7}
    answer = await gateway.request(verb, path.format(right), str(body).replace("'", '"').encode(), JSON)
    assert answer.status in (200, 204)
    assert getattr(gateway.asked[0].message, name) == int(right)


@pytest.mark.parametrize("wrong", ["٧", "7\n", "७", "7\u0661"])
def test_an_id_is_ascii_even_where_nothing_has_encoded_it(wrong: str) -> None:
    """Whatever lies before it, the rule itself does not give."""
    assert isinstance(read_id("patient_id", wrong), FieldError)


async def test_two_bad_ids_are_both_named() -> None:
    """One answer, every mistake."""
    answer = await Gateway().request("GET", "/patients/0/records/-1")
    assert answer.fields == ["patient_id", "record_id"]


@pytest.mark.parametrize("field", ["patient_id", "doctor_id"])
@pytest.mark.parametrize("path", ["/records", "/prescriptions", "/records/12", "/prescriptions/41"])
@pytest.mark.parametrize("wrong", WRONG_IN_BODIES, ids=repr)
async def test_an_id_in_a_body_is_a_json_integer_in_range_or_400(field: str, path: str, wrong: Any) -> None:
    """Numbers as text, fractions and exponents are refused even where they mean a whole number."""
    gateway = Gateway()
    verb = "PUT" if path[-1].isdigit() else "POST"
    answer = await gateway.post(path, {**body_of(path), field: wrong}, verb)
    assert (answer.status, answer.fields) == (400, [field])
    assert gateway.asked == []


@pytest.mark.parametrize("written", [b"7.0", b"7e0", b"70E-1", b"0.7e1"])
async def test_a_fraction_or_exponent_is_no_integer_however_it_is_written(written: bytes) -> None:
    """Python's json would write 7e0 as 7.0, so these are sent as they are."""
    answer = await Gateway().post(
        "/records", b'{"patient_id":%s,"doctor_id":3,"record_text":"x","date":"2026-03-17"}' % written
    )
    assert (answer.status, answer.fields) == (400, ["patient_id"])


@pytest.mark.parametrize(("path", "key"), [("/records", "record_id"), ("/prescriptions", "prescription_id")])
async def test_a_new_thing_brings_no_id_of_its_own(path: str, key: str) -> None:
    """The databases assign them."""
    answer = await Gateway().post(path, {**body_of(path), key: 12})
    assert (answer.status, answer.fields) == (400, [key])
    assert "assigned by the service" in answer.body.decode()


@pytest.mark.parametrize(("path", "key"), [("/records/12", "record_id"), ("/prescriptions/12", "prescription_id")])
async def test_a_replacement_may_repeat_the_paths_id_and_no_other(path: str, key: str) -> None:
    """So that what was read can be changed and sent back."""
    gateway = Gateway()
    assert (await gateway.post(path, {**body_of(path), key: 12}, "PUT")).status == 200
    answer = await gateway.post(path, {**body_of(path), key: 13}, "PUT")
    assert (answer.status, answer.fields) == (400, [key])
    assert len(gateway.asked) == 1


async def test_a_body_does_not_contradict_the_patient_of_the_path() -> None:
    """Whose record would it be?"""
    gateway = Gateway()
    answer = await gateway.post("/patients/8/records/12", {**NEW_RECORD, "patient_id": 7}, "PUT")
    assert (answer.status, answer.fields, gateway.asked) == (400, ["patient_id"], [])
