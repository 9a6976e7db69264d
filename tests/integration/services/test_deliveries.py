"""What became of a prescription's mail, as the service's clients see it."""

from typing import Any

import pytest

from mesh.status import Status
from protos.generated.caremesh import v1 as pb
from tests.integration.services.serving import Client


async def written(client: Client, **fields: Any) -> pb.Prescription:
    usual: dict[str, Any] = {
        "patient_id": 7,
        "doctor_id": 3,
        "medications": [pb.Medication(medication_name="Aspirin")],
        "mail_to": "a@example.org",
    }
    method = "PutPatientPrescription" if "prescription_id" in fields else "PostPatientPrescription"
    made: pb.Prescription = await client.call(method, pb.Prescription(**usual | fields))
    return made


async def page(client: Client, **fields: Any) -> pb.DeliveryPage:
    asked = pb.PrescriptionRequest(**{"prescription_id": 1} | fields)
    found: pb.DeliveryPage = await client.call("GetDeliveries", asked)
    return found


async def test_a_letter_is_told_with_all_that_is_known_of_it(prescriptions: Client) -> None:
    """A clinic's app shows it beside the prescription."""
    made = await written(prescriptions)
    (letter,) = (await page(prescriptions)).items
    second = made.created_at[:19].replace("-", "").replace(":", "")
    assert letter == pb.Delivery(
        delivery_id=1,
        prescription_id=1,
        version=1,
        kind="new",
        state="waiting",
        attempts=0,
        next_attempt_at=made.created_at,
        message_id=f"<prescription.1.1.new.{second}Z@localhost>",
        created_at=made.created_at,
        updated_at=made.created_at,
    )


async def test_they_come_page_by_page_the_newest_first(prescriptions: Client) -> None:
    """A prescription that is changed often has many."""
    for number in range(5):
        await written(prescriptions, patient_name=f"Eva {number}", **{"prescription_id": 1} if number else {})
    seen, cursor = list[int](), ""
    for _ in range(3):
        found = await page(prescriptions, limit=2, cursor=cursor, patient_id=7)
        seen += [one.delivery_id for one in found.items]
        cursor = found.next_cursor
    assert (seen, cursor) == ([5, 4, 3, 2, 1], "")
    assert [one.state for one in (await page(prescriptions)).items] == ["waiting", *["withdrawn"] * 4]


async def test_a_deleted_prescription_still_tells_and_only_to_whom_it_concerns(prescriptions: Client) -> None:
    """Whether its letter could be taken back is asked just then."""
    await written(prescriptions)
    await prescriptions.call("DeletePatientPrescription", pb.PrescriptionRequest(prescription_id=1))
    assert [one.state for one in (await page(prescriptions, patient_id=7)).items] == ["withdrawn"]
    for foreign in (pb.PrescriptionRequest(prescription_id=1, patient_id=8), pb.PrescriptionRequest(prescription_id=2)):
        assert (await prescriptions.refusal("GetDeliveries", foreign)).status is Status.NOT_FOUND


async def test_what_was_never_mailed_has_none(prescriptions: Client) -> None:
    """An empty list, no error."""
    await written(prescriptions, mail_to="")
    assert await page(prescriptions) == pb.DeliveryPage()


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"limit": 201}, "limit"), ({"cursor": "x"}, "cursor"), ({"prescription_id": 0}, "prescription_id")],
)
async def test_a_wrong_request_is_refused_by_its_field(
    prescriptions: Client, fields: dict[str, Any], field: str
) -> None:
    """As every list does."""
    await written(prescriptions)
    asked = pb.PrescriptionRequest(**{"prescription_id": 1} | fields)
    error = await prescriptions.refusal("GetDeliveries", asked)
    assert [violation.field for violation in error.violations] == [field]


async def test_a_cursor_of_another_prescription_is_refused(prescriptions: Client) -> None:
    """It would show the wrong place of the wrong list."""
    for _ in range(2):
        key = (await written(prescriptions)).prescription_id
        await written(prescriptions, prescription_id=key, patient_name="Eva")
    cursor = (await page(prescriptions, limit=1)).next_cursor
    asked = pb.PrescriptionRequest(prescription_id=2, limit=1, cursor=cursor)
    error = await prescriptions.refusal("GetDeliveries", asked)
    assert [violation.field for violation in error.violations] == ["cursor"]
