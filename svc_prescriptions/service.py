"""The prescription service: messages in, documents through the domain's rules into the database, messages out."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import partial

from hosting.caller import patience, principal
from hosting.messages import given, read_only, taken
from mesh.server import Health
from protos.generated.caremesh import v1 as pb
from protos.generated.google.protobuf import Empty
from storage.documents import utc_now
from storage.rules import key_asked, list_asked
from svc_prescriptions.domain import Medication, Prescription, PrescriptionContent, accepted, changed, created
from svc_prescriptions.errors import statuses
from svc_prescriptions.repository import Prescriptions

KEY = "prescription_id"


class PrescriptionsService(pb.PrescriptionManagementServiceBase):
    """PrescriptionManagementService as its `.proto` describes it.

    Args:
        prescriptions: where they lie.
        health: what every health answer of the process comes from.
        now: the time, in UTC.
    """

    def __init__(self, prescriptions: Prescriptions, health: Health, now: Callable[[], datetime] = utc_now) -> None:
        self._prescriptions = prescriptions
        self._health = health
        self._now = now

    async def get_patient_prescriptions(self, message: pb.PatientRequest) -> pb.PrescriptionPage:
        with statuses.told():
            limit = list_asked(message.patient_id, message.limit)
            page = await self._prescriptions.page(message.patient_id, limit, message.cursor, patience())
        return pb.PrescriptionPage(items=[_message(one) for one in page.items], next_cursor=page.next_cursor)

    async def get_prescription(self, message: pb.PrescriptionRequest) -> pb.Prescription:
        with statuses.told():
            key_asked(KEY, message.prescription_id, message.patient_id)
            return _message(await self._prescriptions.get(message.prescription_id, message.patient_id, patience()))

    async def post_patient_prescription(self, message: pb.Prescription) -> pb.Prescription:
        with statuses.told():
            content = created(_content(message), read_only(message, KEY), self._now().date().isoformat())
            return _message(await self._prescriptions.add(content, principal(), patience()))

    async def put_patient_prescription(self, message: pb.Prescription) -> pb.Prescription:
        with statuses.told():
            content = accepted(message.prescription_id, _content(message))
            change = partial(changed, content=content)
            return _message(await self._prescriptions.replace(message.prescription_id, change, principal(), patience()))

    async def delete_patient_prescription(self, message: pb.PrescriptionRequest) -> Empty:
        with statuses.told():
            key_asked(KEY, message.prescription_id, message.patient_id)
            await self._prescriptions.delete(message.prescription_id, message.patient_id, principal(), patience())
        return Empty()

    async def check_health(self, message: Empty) -> pb.HealthStatus:  # noqa: ARG002  # the method has it
        return pb.HealthStatus(is_healthy=self._health.serving)


def _content(message: pb.Prescription) -> PrescriptionContent:
    medications = tuple(taken(Medication, medication) for medication in message.medications)
    return taken(PrescriptionContent, message, medications=medications)


def _message(prescription: Prescription) -> pb.Prescription:
    medications = [pb.Medication(**asdict(one)) for one in prescription.content.medications]
    return pb.Prescription(**given(prescription, KEY) | {"medications": medications})
