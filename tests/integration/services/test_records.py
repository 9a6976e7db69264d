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
