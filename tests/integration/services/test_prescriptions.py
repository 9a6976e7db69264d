"""The prescription service as its clients meet it. What it shares with records is tested there and in storage."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from mesh.status import Status
from protos.generated.caremesh import v1 as pb
from protos.generated.google.protobuf import Empty
from tests.integration.services.serving import Client

FULL = pb.Medication(
    medication_name="Amoxicillin 💊",
    dosage="500 mg",
    rxnorm_code="308191",
    sig="třikrát denně\npo jídle",
    quantity="2.50",
    days_supply=10,
    refills=0,
    reason="zápal",
    strength="500 mg",
    form="kapsle",
)


def a_prescription(**fields: Any) -> pb.Prescription:
    usual: dict[str, Any] = {"patient_id": 7, "doctor_id": 3, "medications": [FULL]}
    return pb.Prescription(**usual | fields)


def asked(prescription_id: int = 1, patient_id: int = 0) -> pb.PrescriptionRequest:
    return pb.PrescriptionRequest(prescription_id=prescription_id, patient_id=patient_id)


async def test_every_field_comes_back_as_it_was_written(prescriptions: Client) -> None:
    """Nothing of a prescription may get lost or be rounded."""
    sent = a_prescription(
        medications=[FULL, pb.Medication(medication_name="Aspirin")],
        status="completed",
        mail_to="eva@example.org",
        patient_name="Eva Nováková",
        prescriber_name="MUDr. 李",
        written_on="2024-02-29",
        source_id="s1",
        patient_birth_date="1970-01-01",
        patient_address="Dlouhá 1\nPraha",
        prescriber_address="Krátká 2\nBrno",
    )
    written = await prescriptions.call("PostPatientPrescription", sent, principal="dr.who")
    assert asdict(written) == asdict(sent) | {
        "prescription_id": 1,
        "version": 1,
        "created_at": written.created_at,
        "updated_at": written.created_at,
        "updated_by": "dr.who",
        "deleted": False,
    }
    assert asdict(await prescriptions.call("GetPrescription", asked(1, 7))) == asdict(written)
    page = await prescriptions.call("GetPatientPrescriptions", pb.PatientRequest(patient_id=7))
    assert [asdict(item) for item in page.items] == [asdict(written)]


async def test_without_status_and_day_it_is_active_and_written_today(prescriptions: Client) -> None:
    """The defaults that every client meets."""
    days = {datetime.now(UTC).date().isoformat()}
    written = await prescriptions.call("PostPatientPrescription", a_prescription())
    days.add(datetime.now(UTC).date().isoformat())
    assert written.status == "active"
    assert written.written_on in days


async def test_a_change_replaces_the_medications_as_a_whole(prescriptions: Client) -> None:
    """What the new version does not name is not prescribed any more."""
    await prescriptions.call("PostPatientPrescription", a_prescription(patient_name="Eva", written_on="2024-02-29"))
    new = [pb.Medication(medication_name="Ibuprofen"), pb.Medication(medication_name="Aspirin", refills=2)]
    changed = await prescriptions.call(
        "PutPatientPrescription", a_prescription(prescription_id=1, medications=new, status="on-hold")
    )
    assert [asdict(item) for item in changed.medications] == [asdict(item) for item in new]
    assert (changed.version, changed.status, changed.patient_name) == (2, "on-hold", "")
    assert changed.written_on == "2024-02-29"
    assert asdict(await prescriptions.call("GetPrescription", asked())) == asdict(changed)


async def test_a_change_that_names_no_status_leaves_it(prescriptions: Client) -> None:
    """To correct a name must not take up again what was on hold."""
    await prescriptions.call("PostPatientPrescription", a_prescription())
    await prescriptions.call("PutPatientPrescription", a_prescription(prescription_id=1, status="on-hold"))
    changed = await prescriptions.call("PutPatientPrescription", a_prescription(prescription_id=1))
    assert (changed.version, changed.status) == (3, "on-hold")


async def test_a_deleted_prescription_is_gone_and_says_that_it_was_there(prescriptions: Client) -> None:
    """410 for whoever held its link."""
    await prescriptions.call("PostPatientPrescription", a_prescription())
    assert (await prescriptions.refusal("DeletePatientPrescription", asked(1, 8))).status is Status.NOT_FOUND
    await prescriptions.call("DeletePatientPrescription", asked(1, 7))
    for name, message in (
        ("GetPrescription", asked()),
        ("DeletePatientPrescription", asked()),
        ("PutPatientPrescription", a_prescription(prescription_id=1)),
    ):
        error = await prescriptions.refusal(name, message)
        assert (error.code, dict(error.info)) == ("DELETED", {"prescription_id": "1"})


async def test_wrong_fields_of_medications_are_told_with_their_place(prescriptions: Client) -> None:
    """The second of three: a client must find it."""
    wrong = pb.Medication(medication_name="", quantity="viel", days_supply=-1)
    error = await prescriptions.refusal("PostPatientPrescription", a_prescription(medications=[FULL, wrong, FULL]))
    assert {violation.field for violation in error.violations} == {
        "medications[1].medication_name",
        "medications[1].quantity",
        "medications[1].days_supply",
    }


async def test_a_source_id_that_is_taken_tells_who_holds_it(prescriptions: Client) -> None:
    """An import asks again and learns where its row is."""
    await prescriptions.call("PostPatientPrescription", a_prescription(source_id="s1"))
    error = await prescriptions.refusal("PostPatientPrescription", a_prescription(source_id="s1"))
    assert dict(error.info) == {"prescription_id": "1", "patient_id": "7"}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (pb.PatientRequest(), "patient_id"),
        (pb.PatientRequest(patient_id=7, limit=201), "limit"),
        (pb.PatientRequest(patient_id=7, cursor="x"), "cursor"),
    ],
)
async def test_a_wrong_list_request_is_refused(prescriptions: Client, message: Any, field: str) -> None:
    """A limit of 201 is a mistake, not 200."""
    error = await prescriptions.refusal("GetPatientPrescriptions", message)
    assert [violation.field for violation in error.violations] == [field]


async def test_a_status_that_cannot_follow_is_refused_with_those_that_can(prescriptions: Client) -> None:
    """409 at the gateway; and only after the version, which says whether the writer knows the status at all."""
    await prescriptions.call("PostPatientPrescription", a_prescription(status="draft"))
    wrong = a_prescription(prescription_id=1, status="completed")
    error = await prescriptions.refusal("PutPatientPrescription", wrong)
    assert (error.status, error.code) == (Status.FAILED_PRECONDITION, "ILLEGAL_STEP")
    assert dict(error.info) == {"from": "draft", "legal": "active,cancelled,entered-in-error"}
    wrong.version = 7
    assert (await prescriptions.refusal("PutPatientPrescription", wrong)).code == "VERSION_MISMATCH"


async def test_a_history_shows_the_medications_of_each_version(prescriptions: Client) -> None:
    """What was prescribed when."""
    written = await prescriptions.call("PostPatientPrescription", a_prescription())
    new = a_prescription(prescription_id=1, medications=[pb.Medication(medication_name="Ibuprofen")])
    changed = await prescriptions.call("PutPatientPrescription", new)
    await prescriptions.call("DeletePatientPrescription", pb.PrescriptionRequest(prescription_id=1, if_version=2))
    page = await prescriptions.call("GetPrescriptionHistory", asked(1, 7))
    assert [asdict(item) for item in page.items[1:]] == [asdict(changed), asdict(written)]
    assert page.items[0].deleted is True
    assert (await prescriptions.refusal("GetPrescriptionHistory", asked(1, 8))).status is Status.NOT_FOUND


async def test_a_write_repeated_under_its_key_gets_the_same_answer(prescriptions: Client) -> None:
    """A medicine prescribed twice would be taken twice. The day that was filled in stays the first answer's."""
    writes = [
        ("PostPatientPrescription", a_prescription()),
        ("PutPatientPrescription", a_prescription(prescription_id=1, version=1, status="stopped")),
        ("DeletePatientPrescription", pb.PrescriptionRequest(prescription_id=1, if_version=2)),
    ]
    for name, message in writes:
        first, again = [await prescriptions.reply(name, message, idempotency_key="k1") for _ in range(2)]
        assert (first.headers.get("idempotent-replay"), again.headers["idempotent-replay"]) == (None, "true")
        assert asdict(again.message) == asdict(first.message)
    error = await prescriptions.refusal("PostPatientPrescription", a_prescription(doctor_id=4), idempotency_key="k1")
    assert error.code == "KEY_REUSED"


async def test_health_is_answered_from_the_process_state(prescriptions: Client) -> None:
    """The same as grpc.health.v1 says."""
    prescriptions.health.set_serving(False)
    assert (await prescriptions.call("CheckHealth", Empty())).is_healthy is False
