"""What an answer is about, by its trailing metadata: callers that keep answers drop by it what a write made old."""

from typing import Any

from mesh.call import CACHE_TAGS
from mesh.errors import RemoteError
from protos.generated.caremesh import v1 as pb
from tests.integration.services.serving import Client
from tests.integration.services.test_prescriptions import a_prescription
from tests.integration.services.test_records import a_record


async def tags(client: Client, method: str, message: Any, **words: Any) -> set[str]:
    """Of an answer, a refusal included."""
    try:
        headers = (await client.reply(method, message, **words)).headers
    except RemoteError as error:
        headers = error.headers
    return set(headers.get(CACHE_TAGS, "").split())


async def test_records_say_what_they_are_about(records: Client) -> None:
    """A list is about its patient, a record and its history about the record, a write about both."""
    of = pb.PatientRecordRequest
    both = {"patient/7", "record/1"}
    assert await tags(records, "GetPatientRecords", of(patient_id=7)) == {"patient/7"}
    assert await tags(records, "GetPatientRecord", of(record_id=1)) == {"record/1"}, "it is not there yet"
    assert await tags(records, "PostPatientRecords", a_record()) == both
    assert await tags(records, "GetPatientRecord", of(record_id=1, patient_id=7)) == {"record/1"}
    assert await tags(records, "GetPatientRecordHistory", of(record_id=1)) == {"record/1"}
    assert await tags(records, "PutPatientRecords", a_record(record_id=1)) == both
    assert await tags(records, "DeletePatientRecords", of(record_id=1, if_version=1)) == both, "it was refused"
    assert await tags(records, "DeletePatientRecords", of(record_id=1), idempotency_key="k") == both
    assert await tags(records, "DeletePatientRecords", of(record_id=1), idempotency_key="k") == both, "a repetition"
    assert await tags(records, "DeletePatientRecords", of(record_id=1)) == both, "it is gone already"


async def test_prescriptions_say_what_they_are_about(prescriptions: Client) -> None:
    """And what became of their mail has no tag: it changes without a write."""
    of = pb.PrescriptionRequest
    both = {"patient/7", "prescription/1"}
    assert await tags(prescriptions, "GetPatientPrescriptions", pb.PatientRequest(patient_id=7)) == {"patient/7"}
    assert await tags(prescriptions, "PostPatientPrescription", a_prescription()) == both
    assert await tags(prescriptions, "GetPrescription", of(prescription_id=1)) == {"prescription/1"}
    assert await tags(prescriptions, "GetPrescriptionHistory", of(prescription_id=1)) == {"prescription/1"}
    assert await tags(prescriptions, "GetDeliveries", of(prescription_id=1)) == set()
    illegal = a_prescription(prescription_id=1, status="draft")
    assert await tags(prescriptions, "PutPatientPrescription", illegal) == both, "it was refused"
    assert await tags(prescriptions, "DeletePatientPrescription", of(prescription_id=1), idempotency_key="k") == both
    assert await tags(prescriptions, "DeletePatientPrescription", of(prescription_id=1), idempotency_key="k") == both
