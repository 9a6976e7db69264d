"""A body is strict UTF-8 JSON of the right shape; everything wrong with it is told in one answer, no value quoted."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.examples import MEDICATION, NEW_PRESCRIPTION, NEW_RECORD, RECORD
from gateway.fields import PATTERN_REMEDIES
from gateway.http import bodies
from gateway.http.problems import Problem
from gateway.schemas import NewPrescription, NewRecord, PrescriptionReplacement, RecordReplacement
from tests.fakes.gateway import JSON, Gateway

MARK = "žluťoučký-mark-4711"


def refused(raw: bytes, schema: Any = NewRecord) -> dict[str, str]:
    """What is wrong with a body, by field."""
    with pytest.raises(Problem) as caught:
        bodies.parse(schema, raw)
    assert caught.value.kind.status == 400
    return dict(caught.value.errors)


def record(**changes: Any) -> bytes:
    return json.dumps(NEW_RECORD | changes).encode()


def prescription(**changes: Any) -> bytes:
    return json.dumps(NEW_PRESCRIPTION | changes).encode()


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"{}x", b'{"a":1,}', b"{'a':1}", b"// c\n{}", b'{"a":01}', b'{"a":"\n"}', b"nul", b'{"a":"\\x"}'],
)
def test_what_is_not_json_is_told_as_such(raw: bytes) -> None:
    """One field, `body`: there are no others to name."""
    assert refused(raw) == {"body": "must be JSON"}


@pytest.mark.parametrize("raw", [b"[]", b"7", b'"x"', b"null", b"true"])
def test_json_that_is_no_object_is_told_as_such(raw: bytes) -> None:
    """Valid JSON, wrong shape."""
    assert refused(raw) == {"body": "must be an object"}


@pytest.mark.parametrize("raw", [b"\xff", "ž".encode("iso8859-2"), b'{"a":"\xed\xa0\x80"}', '{"a":1}'.encode("utf-16")])
def test_bytes_that_are_not_utf8_are_refused(raw: bytes) -> None:
    """json.loads would guess UTF-16 and 32 by itself."""
    assert refused(raw) == {"body": "must be UTF-8"}


def test_a_doubled_key_is_refused_at_any_depth() -> None:
    """Which of two patients would be meant?"""
    assert refused(record()[:-1] + b',"patient_id":8}') == {"patient_id": "is given twice; give it once"}
    twice = prescription().replace(b'"sig":', b'"sig":"x","sig":')
    assert refused(twice, NewPrescription) == {"medications[0].sig": "is given twice; give it once"}


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_nan_and_infinities_are_refused(number: bytes) -> None:
    """Python's json takes them; JSON has none."""
    raw = record().replace(b'"patient_id": 7', b'"patient_id": ' + number)
    assert refused(raw)["patient_id"] == "must not be NaN or infinite"


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00", "\\ude00\\ud83d", "x\\ud800y"])
def test_half_a_surrogate_pair_is_refused(half: str) -> None:
    """No UTF-8 holds it, so no database and no mail could."""
    raw = record().replace(b'"record_text": "', b'"record_text": "' + half.encode())
    assert refused(raw) == {"record_text": "is not Unicode: it has half a surrogate pair"}
    assert list(refused(record()[:-1] + b',"\\ud800":1}').values())[-1].startswith("is not Unicode")


def test_a_whole_surrogate_pair_is_a_letter() -> None:
    """JSON writes 😀 so when it is kept in ASCII."""
    assert bodies.parse(NewRecord, record(record_text="😀")).record_text == "😀"


@pytest.mark.parametrize("depth", [100, 1000, 100_000])
def test_deep_nesting_is_refused_and_costs_no_stack(depth: int) -> None:
    """A recursion error would be a 500."""
    assert "body" in refused(b"[" * depth) or depth < 1000
    raw = record()[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    assert refused(raw)


@pytest.mark.parametrize("field", ["patient_id", "doctor_id", "record_text", "date"])
def test_a_required_field_that_is_missing_is_named(field: str) -> None:
    """And nothing else is complained about."""
    raw = json.dumps({name: value for name, value in NEW_RECORD.items() if name != field}).encode()
    assert refused(raw) == {field: "is required"}


def test_everything_that_is_wrong_is_told_in_one_answer() -> None:
    """Nobody mends a form one field at a time."""
    raw = json.dumps(
        {
            "patient_id": "7",
            "doctor_id": 3.0,
            "record_text": "bell \x07",
            "date": "2026-02-30",
            "category": "rumour",
            "source_id": "with space",
            "colour": "red",
        }
    ).encode()
    assert refused(raw).keys() == {*NEW_RECORD, "colour"}


def test_a_wrong_item_does_not_make_its_list_too_short() -> None:
    """Pydantic counts only the valid items."""
    wrong = prescription(medications=[{"medication_name": "", "refills": -1}])
    assert refused(wrong, NewPrescription).keys() == {"medications[0].medication_name", "medications[0].refills"}
    assert refused(prescription(medications=[]), NewPrescription) == {"medications": "must not be empty"}
    assert refused(prescription(medications=[MEDICATION] * 101), NewPrescription).keys() == {"medications"}


@pytest.mark.parametrize(
    "day",
    ["2026-02-29", "0000-01-01", "2026-13-01", "20260317", "2026-3-17", "2026-W12-2", "٢٠٢٦-٠٣-١٧", "", "17.3.2026"],
)
def test_a_day_that_does_not_exist_or_is_written_otherwise_is_refused(day: str) -> None:
    """Python's fromisoformat takes several of these."""
    assert refused(record(date=day)) == {"date": "must be a day that exists, as YYYY-MM-DD"}


@pytest.mark.parametrize("day", ["0001-01-01", "2024-02-29", "9999-12-31"])
def test_every_day_of_the_calendar_is_taken(day: str) -> None:
    """From the first to the last that both databases hold."""
    assert bodies.parse(NewRecord, record(date=day)).date == day


CONTROLS = [chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda letter: f"U+{ord(letter):04X}")
def test_control_characters_are_refused_except_newline_and_tab_in_texts(control: str) -> None:
    """A form feed prints a second page; a NUL ends a string in C."""
    body = NEW_RECORD | {"record_text": f"a{control}b"}
    if control in "\n\t":
        assert bodies.parse(NewRecord, json.dumps(body).encode()).record_text == f"a{control}b"
    else:
        assert refused(json.dumps(body).encode()).keys() == {"record_text"}
    assert refused(prescription(patient_name=f"a{control}b"), NewPrescription).keys() == {"patient_name"}


@pytest.mark.parametrize("letter", ["a", "ť", "م", "漢", "😀"])
def test_a_text_may_have_64_kib_of_utf8_and_not_a_byte_more(letter: str) -> None:
    """Bytes, not characters: the column counts so."""
    size = len(letter.encode())
    fits = letter * (65536 // size)
    assert bodies.parse(NewRecord, record(record_text=fits)).record_text == fits
    longer = fits + "a" * (65536 % size + 1)
    assert refused(record(record_text=longer)).keys() == {"record_text"}


@pytest.mark.parametrize("quantity", ["", "30", "2.5", "999999999.9999", "0"])
def test_a_quantity_is_a_decimal_as_text(quantity: str) -> None:
    """So that no float rounds it."""
    body = prescription(medications=[MEDICATION | {"quantity": quantity}])
    assert bodies.parse(NewPrescription, body).medications[0].quantity == quantity


@pytest.mark.parametrize("quantity", ["1.", ".5", "1e3", "-1", "+1", "1000000000", "1.00001", "٣", " 1", "1\n", 30])
def test_another_quantity_is_refused(quantity: Any) -> None:
    """Among them a trailing newline, which `$` lets through in Python."""
    body = prescription(medications=[MEDICATION | {"quantity": quantity}])
    assert refused(body, NewPrescription).keys() == {"medications[0].quantity"}


@pytest.mark.parametrize("field", ["version", "created_at", "updated_at", "updated_by", "record_id"])
def test_what_the_service_assigns_is_refused_in_a_post_and_ignored_in_a_put(field: str) -> None:
    """What was read can be sent back as it is, and a new thing cannot claim a history."""
    assert "assigned by the service" in refused(record(**{field: RECORD[field]}))[field]
    assert bodies.parse(RecordReplacement, json.dumps(RECORD).encode()).patient_id == 7


@pytest.mark.parametrize("status", ["draft", "active", "completed", "stopped"])
def test_a_new_prescription_may_have_these_statuses(status: str) -> None:
    """The first four are how one can begin."""
    assert bodies.parse(NewPrescription, prescription(status=status)).status == status


@pytest.mark.parametrize("status", ["on-hold", "cancelled", "entered-in-error", "unknown", "Active", ""])
def test_a_new_prescription_may_not_have_these(status: str) -> None:
    """They are reached from another one, if at all."""
    assert refused(prescription(status=status), NewPrescription).keys() == {"status"}
    if status in ("on-hold", "cancelled", "entered-in-error"):
        assert bodies.parse(PrescriptionReplacement, prescription(status=status)).status == status


def test_no_message_quotes_a_value() -> None:
    """Errors are logged and shown; values are patients'."""
    fields = dict.fromkeys(NewPrescription.model_fields, MARK + "\x07")
    raw = json.dumps({**fields, "medications": [dict.fromkeys(MEDICATION, MARK + "\x07")]}).encode()
    assert MARK not in str(refused(raw, NewPrescription))


def test_a_field_that_nobody_knows_is_named_safely_and_shortly() -> None:
    """Its name is the client's: it is given back without control characters and not by the megabyte."""
    told = [name for name in refused(record(**{"x\x1b[31m": 1, "y" * 5000: 1})) if name not in NEW_RECORD]
    assert all(len(name) <= 200 and name.isprintable() for name in told)
    assert len(told) == 2


def test_a_body_with_thousands_of_mistakes_names_a_hundred() -> None:
    """An answer that nobody reads to its end costs time and says no more."""
    assert len(refused(record(**{f"f{number}": 1 for number in range(3000)}))) == 100


def test_every_pattern_of_the_schemas_has_its_remedy() -> None:
    """Else the client would be shown a regular expression."""
    schemas = [schema.model_json_schema() for schema in (NewRecord, RecordReplacement, NewPrescription)]
    found = {part.split('"', 1)[0] for schema in schemas for part in json.dumps(schema).split('"pattern": "')[1:]}
    assert {json.loads(f'"{pattern}"') for pattern in found} == set(PATTERN_REMEDIES)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_the_bytes_are_the_answer_is_a_schema_or_a_400(raw: bytes) -> None:
    """Nothing else can come out of the parser."""
    assert refused(raw)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*NewPrescription.model_fields, "x"]), JSON_VALUES))
def test_whatever_the_shape_is_the_answer_is_a_schema_or_a_400(value: dict[str, Any]) -> None:
    """The same with JSON that looks right from afar."""
    try:
        taken = bool(bodies.parse(NewPrescription, json.dumps(value).encode()).medications)
    except Problem as problem:
        taken = bool(problem.errors)
    assert taken


MEDIA = [
    ("application/json", 201),
    ("application/json; charset=utf-8", 201),
    ('Application/JSON;charset="UTF-8"', 201),
    ("application/json; charset=latin1", 415),
    ("application/json; charset=utf-16", 415),
    ("application/json; profile=x", 415),
    ("text/plain", 415),
    ("application/x-www-form-urlencoded", 415),
    ("application/jsonx", 415),
    ("", 415),
]


@pytest.mark.parametrize(("content_type", "status"), MEDIA)
async def test_only_json_in_utf8_is_taken(content_type: str, status: int) -> None:
    """A form of another site could post text/plain without asking; JSON it could not."""
    answer = await Gateway().post("/records", NEW_RECORD, headers={"Content-Type": content_type})
    assert answer.status == status
    assert status == 201 or answer.headers["accept"] == "application/json"


async def test_a_missing_or_doubled_content_type_and_a_packed_body_are_415() -> None:
    """What it is must be said, once, and be what it is."""
    assert (await Gateway().post("/records", NEW_RECORD, headers={})).status == 415
    doubled = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    assert (await Gateway().post("/records", NEW_RECORD, headers=doubled)).status == 415
    packed = await Gateway().post("/records", NEW_RECORD, headers={**JSON, "Content-Encoding": "gzip"})
    assert packed.status == 415


async def test_a_bad_id_is_told_beside_a_bad_body() -> None:
    """One answer, every mistake, wherever it stands."""
    answer = await Gateway().post("/records/0?x=1", NEW_RECORD | {"date": "never"}, "PUT")
    assert answer.fields == ["record_id", "x", "date"]


async def test_a_body_over_1_mib_is_413_whether_announced_or_in_pieces() -> None:
    """Chunked bodies announce nothing."""
    gateway = Gateway()
    announced = await gateway.request("POST", "/records", b"", {**JSON, "Content-Length": str(1024 * 1024 + 1)})
    pieces = await gateway.request("POST", "/records", [b" " * 65536] * 17, JSON)
    assert (announced.status, pieces.status, gateway.asked) == (413, 413, [])


async def test_a_body_of_1_mib_is_read() -> None:
    """The limit itself is allowed."""
    raw = record()
    answer = await Gateway().request("POST", "/records", raw + b" " * (1024 * 1024 - len(raw)), JSON)
    assert answer.status == 201


TEXTS = ["Příliš žluťoučký kůň", "الحساسية من البنسلين", "高血压,每日一次", "😀👩‍⚕️🩺", "a\n\tb", "\u2028\u202e\ufeff"]


@pytest.mark.parametrize("text", TEXTS)
async def test_texts_arrive_and_return_as_they_were(text: str) -> None:
    """Byte for byte, in both directions."""
    gateway = Gateway()
    answer = await gateway.post("/records", NEW_RECORD | {"record_text": text})
    assert gateway.records.asked[0].message.record_text == text
    assert answer.json["record_text"].encode() == text.encode()
