"""The records service as its clients meet it."""

import re
from dataclasses import asdict
from typing import Any

import pytest

from mesh.events import ServerEnded
from mesh.status import Status
from protos.generated.caremesh import v1 as pb
from protos.generated.google.protobuf import Empty
from tests.integration.services.serving import Client

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
EVERY_SCRIPT = "Příliš žluťoučký kůň · مرحبا · 病歷 · 🧑‍⚕️\n\ttab"


def a_record(**fields: Any) -> pb.PatientRecord:
    usual: dict[str, Any] = {"patient_id": 7, "doctor_id": 3, "record_text": EVERY_SCRIPT, "date": "2024-02-29"}
    return pb.PatientRecord(**usual | fields)


def asked(record_id: int = 1, patient_id: int = 0) -> pb.PatientRecordRequest:
    return pb.PatientRecordRequest(record_id=record_id, patient_id=patient_id)


async def test_a_record_is_written_read_listed_changed_and_deleted(records: Client) -> None:
    """A record's whole life."""
    written = await records.call("PostPatientRecords", a_record(source_id="s1"), principal="dr.who")
    assert asdict(written) == asdict(a_record(source_id="s1")) | {
        "record_id": 1,
        "category": "note",
        "version": 1,
        "created_at": written.created_at,
        "updated_at": written.created_at,
        "updated_by": "dr.who",
        "deleted": False,
    }
    assert MOMENT.fullmatch(written.created_at)
    assert asdict(await records.call("GetPatientRecord", asked(patient_id=7))) == asdict(written)
    changed = await records.call("PutPatientRecords", a_record(record_id=1, record_text="new", category="diagnosis"))
    assert (changed.version, changed.record_text, changed.source_id) == (2, "new", "s1")
    assert (changed.created_at, changed.updated_by) == (written.created_at, "local")
    page = await records.call("GetPatientRecords", asked(0, 7))
    assert [asdict(item) for item in page.items] == [asdict(changed)]
    await records.call("DeletePatientRecords", asked(patient_id=7))
    assert (await records.refusal("GetPatientRecord", asked())).code == "DELETED"


async def test_what_was_read_may_be_changed_and_sent_back(records: Client) -> None:
    """Read-only fields are passed over in a PUT."""
    written = await records.call("PostPatientRecords", a_record())
    written.record_text = "new"
    assert (await records.call("PutPatientRecords", written)).version == 2


async def test_every_wrong_field_is_told_and_nothing_of_what_was_sent(records: Client) -> None:
    """INVALID_ARGUMENT with all violations; the texts are shown and logged."""
    wrong = a_record(record_id=5, doctor_id=-1, record_text="Nováková\x00", date="2024-02-30", category="Nováková")
    error = await records.refusal("PostPatientRecords", wrong)
    assert error.status is Status.INVALID_ARGUMENT
    assert {violation.field for violation in error.violations} == {
        "record_id",
        "doctor_id",
        "record_text",
        "date",
        "category",
    }
    assert "Nov" not in f"{error} {error.violations}"


async def test_a_text_of_64_kib_goes_through_and_one_byte_more_does_not(records: Client) -> None:
    """The limit is of the text's bytes in UTF-8."""
    written = await records.call("PostPatientRecords", a_record(record_text="ť" * 32_768))
    assert (await records.call("GetPatientRecord", asked(written.record_id))).record_text == "ť" * 32_768
    error = await records.refusal("PostPatientRecords", a_record(record_text="ť" * 32_768 + "x"))
    assert [violation.field for violation in error.violations] == ["record_text"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("GetPatientRecord", asked(2)),
        ("GetPatientRecord", asked(1, 8)),
        ("DeletePatientRecords", asked(2)),
        ("DeletePatientRecords", asked(1, 8)),
        ("PutPatientRecords", a_record(record_id=2)),
    ],
)
async def test_what_does_not_exist_or_is_another_patients_is_not_found(
    records: Client, name: str, message: Any
) -> None:
    """404, and no word about whose it is."""
    await records.call("PostPatientRecords", a_record())
    error = await records.refusal(name, message)
    assert (error.status, error.code) == (Status.NOT_FOUND, "")


async def test_a_record_cannot_be_moved_to_another_patient(records: Client) -> None:
    """INVALID_ARGUMENT naming patient_id, so that the gateway answers 400."""
    await records.call("PostPatientRecords", a_record())
    error = await records.refusal("PutPatientRecords", a_record(record_id=1, patient_id=8))
    assert (error.status, [violation.field for violation in error.violations]) == (
        Status.INVALID_ARGUMENT,
        ["patient_id"],
    )


async def test_a_source_id_that_is_taken_tells_who_holds_it(records: Client) -> None:
    """An import asks again and learns where its row is."""
    await records.call("PostPatientRecords", a_record(source_id="s1"))
    error = await records.refusal("PostPatientRecords", a_record(patient_id=8, source_id="s1"))
    assert (error.status, error.code) == (Status.ALREADY_EXISTS, "SOURCE_TAKEN")
    assert dict(error.info) == {"record_id": "1", "patient_id": "7"}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (pb.PatientRecordRequest(), "patient_id"),
        (pb.PatientRecordRequest(patient_id=-1), "patient_id"),
        (pb.PatientRecordRequest(patient_id=7, limit=201), "limit"),
        (pb.PatientRecordRequest(patient_id=7, limit=-1), "limit"),
        (pb.PatientRecordRequest(patient_id=7, cursor="x"), "cursor"),
        (pb.PatientRecordRequest(patient_id=7, category="Note"), "category"),
    ],
)
async def test_a_wrong_list_request_is_refused_and_never_bent(records: Client, message: Any, field: str) -> None:
    """A limit of 201 is a mistake, not 200."""
    error = await records.refusal("GetPatientRecords", message)
    assert [violation.field for violation in error.violations] == [field]


async def test_a_list_has_50_a_page_and_a_cursor_that_leads_on(records: Client) -> None:
    """The default limit, and the last page's empty cursor."""
    for _ in range(51):
        await records.call("PostPatientRecords", a_record())
    first = await records.call("GetPatientRecords", asked(0, 7))
    rest = await records.call("GetPatientRecords", pb.PatientRecordRequest(patient_id=7, cursor=first.next_cursor))
    assert [item.record_id for item in (*first.items, *rest.items)] == list(range(51, 0, -1))
    assert (len(first.items), rest.next_cursor) == (50, "")


async def test_a_principal_that_cannot_be_kept_is_refused(records: Client) -> None:
    """History's "who" must be what was sent."""
    error = await records.refusal("PostPatientRecords", a_record(), principal="x" * 256)
    assert [violation.field for violation in error.violations] == ["principal"]


async def test_a_history_shows_every_version_with_who_and_when_of_a_deleted_record_too(records: Client) -> None:
    """Deleting hides; nothing that a doctor once wrote is lost."""
    written = await records.call("PostPatientRecords", a_record(), principal="dr.who")
    changed = await records.call("PutPatientRecords", a_record(record_id=1, record_text="new"), principal="dr.no")
    await records.call("DeletePatientRecords", asked(patient_id=7), principal="eve")
    page = await records.call("GetPatientRecordHistory", asked(patient_id=7))
    last, *before = page.items
    assert [asdict(item) for item in before] == [asdict(changed), asdict(written)]
    assert (last.version, last.updated_by, last.deleted, last.record_text) == (3, "eve", True, "new")
    assert (await records.refusal("GetPatientRecordHistory", asked(1, 8))).status is Status.NOT_FOUND
    first = await records.call("GetPatientRecordHistory", pb.PatientRecordRequest(record_id=1, limit=2))
    rest = pb.PatientRecordRequest(record_id=1, limit=2, cursor=first.next_cursor)
    assert [item.version for item in (await records.call("GetPatientRecordHistory", rest)).items] == [1]


async def test_a_list_can_be_of_one_category(records: Client) -> None:
    """A cursor belongs to the list with its filter."""
    for category in ("note", "diagnosis", "diagnosis"):
        await records.call("PostPatientRecords", a_record(category=category))
    request = pb.PatientRecordRequest(patient_id=7, category="diagnosis", limit=1)
    first = await records.call("GetPatientRecords", request)
    request.cursor = first.next_cursor
    second = await records.call("GetPatientRecords", request)
    assert [item.record_id for item in (*first.items, *second.items)] == [3, 2]
    assert second.next_cursor == ""
    for category in ("", "note"):
        error = await records.refusal(
            "GetPatientRecords",
            pb.PatientRecordRequest(patient_id=7, category=category, limit=1, cursor=first.next_cursor),
        )
        assert [violation.field for violation in error.violations] == ["cursor"]


async def test_a_write_that_expects_another_version_is_aborted_with_the_stored_one(records: Client) -> None:
    """412 at the gateway; the expected version travels as the message's own in a PUT, as if_version in a DELETE."""
    await records.call("PostPatientRecords", a_record())
    assert (await records.call("PutPatientRecords", a_record(record_id=1, version=1))).version == 2
    for name, message in (
        ("PutPatientRecords", a_record(record_id=1, version=1)),
        ("DeletePatientRecords", pb.PatientRecordRequest(record_id=1, if_version=1)),
    ):
        error = await records.refusal(name, message)
        assert (error.status, error.code) == (Status.ABORTED, "VERSION_MISMATCH")
        assert dict(error.info) == {"record_id": "1", "version": "2"}
    await records.call("DeletePatientRecords", pb.PatientRecordRequest(record_id=1, if_version=2))


async def test_a_write_repeated_under_its_key_gets_the_same_answer_and_says_so(records: Client) -> None:
    """Whoever got no answer asks again: nothing is done twice, and no version is in its own way."""
    writes = [
        ("PostPatientRecords", a_record(source_id="s1")),
        ("PutPatientRecords", a_record(record_id=1, version=1)),
        ("DeletePatientRecords", pb.PatientRecordRequest(record_id=1, if_version=2)),
    ]
    for name, message in writes:
        first, *again = [await records.reply(name, message, idempotency_key="k1") for _ in range(3)]
        assert "idempotent-replay" not in first.headers
        assert [reply.headers["idempotent-replay"] for reply in again] == ["true", "true"]
        assert [asdict(reply.message) for reply in again] == [asdict(first.message)] * 2
    for name, message in writes:  # long after
        assert (await records.reply(name, message, idempotency_key="k1")).headers["idempotent-replay"] == "true"
    assert (await records.refusal(*writes[2])).code == "DELETED"
    history = await records.call("GetPatientRecordHistory", asked())
    assert [item.version for item in history.items] == [3, 2, 1]


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("PostPatientRecords", a_record(), a_record(record_text="other")),
        ("PutPatientRecords", a_record(record_id=1), a_record(record_id=2)),
        ("PutPatientRecords", a_record(record_id=1), a_record(record_id=1, version=2)),
        ("DeletePatientRecords", asked(1), asked(2)),
        ("DeletePatientRecords", asked(1), pb.PatientRecordRequest(record_id=1, if_version=1)),
    ],
)
async def test_a_key_is_of_one_request_id_body_and_expected_version(
    records: Client, name: str, first: Any, second: Any
) -> None:
    """FAILED_PRECONDITION with KEY_REUSED: 422 at the gateway."""
    for _ in range(2):
        await records.call("PostPatientRecords", a_record())
    await records.call(name, first, idempotency_key="k1")
    error = await records.refusal(name, second, idempotency_key="k1")
    assert (error.status, error.code) == (Status.FAILED_PRECONDITION, "KEY_REUSED")
    await records.call("PostPatientRecords", a_record(), idempotency_key="k2")


async def test_a_key_belongs_to_its_principal(records: Client) -> None:
    """Nobody reads by guessing a key what another was told."""
    for who, number in (("ann", 1), ("bob", 2), ("ann", 1)):
        written = await records.call("PostPatientRecords", a_record(), principal=who, idempotency_key="k1")
        assert (written.record_id, written.updated_by) == (number, who)


@pytest.mark.parametrize("key", ["x" * 256, "a b"])  # the others cannot be sent in metadata
async def test_a_key_is_1_to_255_visible_ascii_characters(records: Client, key: str) -> None:
    """Whatever else would be cut or changed by some database or proxy."""
    error = await records.refusal("PostPatientRecords", a_record(), idempotency_key=key)
    assert [violation.field for violation in error.violations] == ["Idempotency-Key"]
    await records.call("PostPatientRecords", a_record(), idempotency_key="~" * 255)


async def test_health_is_answered_from_the_process_state(records: Client) -> None:
    """The same as grpc.health.v1 says."""
    assert (await records.call("CheckHealth", Empty())).is_healthy is True
    records.health.set_serving(False)
    assert (await records.call("CheckHealth", Empty())).is_healthy is False


async def test_nothing_that_was_refused_counts_as_a_fault_of_the_service(records: Client) -> None:
    """A refusal is an answer; a fault would be an INTERNAL with a place in the code."""
    await records.refusal("PostPatientRecords", pb.PatientRecord())
    await records.refusal("GetPatientRecord", asked(9))
    assert [event.failure for event in records.events.of(ServerEnded)] == [None, None]
