"""The prescription service: messages in, documents through the domain's rules into the database, messages out."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TypeVar

from hosting.caller import patience, principal
from hosting.messages import given, read_only, rfc3339, taken
from hosting.once import answered
from hosting.tags import about
from mesh.server import Health, spending
from protos.generated.caremesh import v1 as pb
from protos.generated.google.protobuf import Empty
from storage.keys import Once
from storage.pages import Page
from storage.rules import history_asked, key_asked, list_asked
from storage.shape import utc_now
from svc_prescriptions.domain import Medication, Prescription, PrescriptionContent, accepted, changed, created
from svc_prescriptions.errors import statuses
from svc_prescriptions.outbox.deliveries import Deliveries
from svc_prescriptions.outbox.delivery import Delivery
from svc_prescriptions.repository import Prescriptions

KEY = "prescription_id"
M = TypeVar("M")
Write = Callable[[Once[Prescription] | None], Awaitable[Prescription]]


class PrescriptionsService(pb.PrescriptionManagementServiceBase):
    """PrescriptionManagementService as its `.proto` describes it.

    Args:
        prescriptions: where they lie.
        deliveries: what became of their mail.
        health: what every health answer of the process comes from.
        written: called after each write, whatever came of it.
        now: the time, in UTC.
    """

    def __init__(
        self,
        prescriptions: Prescriptions,
        deliveries: Deliveries,
        health: Health,
        written: Callable[[], object] = bool,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._prescriptions, self._deliveries = prescriptions, deliveries
        self._health, self._written, self._now = health, written, now

    async def get_patient_prescriptions(self, message: pb.PatientRequest) -> pb.PrescriptionPage:
        with statuses.told():
            about(message.patient_id)
            limit = list_asked(message.patient_id, message.limit)
            return _page(
                await spending(
                    "database", self._prescriptions.page(message.patient_id, limit, message.cursor, patience())
                )
            )

    async def get_prescription(self, message: pb.PrescriptionRequest) -> pb.Prescription:
        with statuses.told():
            about(prescription=message.prescription_id)
            key_asked(KEY, message.prescription_id, message.patient_id)
            return _message(
                await spending(
                    "database", self._prescriptions.get(message.prescription_id, message.patient_id, patience())
                )
            )

    async def get_prescription_history(self, message: pb.PrescriptionRequest) -> pb.PrescriptionPage:
        key, patient_id = message.prescription_id, message.patient_id
        with statuses.told():
            about(prescription=key)
            limit = history_asked(KEY, key, patient_id, message.limit)
            return _page(
                await spending(
                    "database", self._prescriptions.history(key, patient_id, limit, message.cursor, patience())
                )
            )

    async def get_deliveries(self, message: pb.PrescriptionRequest) -> pb.DeliveryPage:
        key, patient_id = message.prescription_id, message.patient_id
        with statuses.told():
            limit = history_asked(KEY, key, patient_id, message.limit)
            page = await spending("database", self._deliveries.page(key, patient_id, limit, message.cursor, patience()))
            return pb.DeliveryPage(items=[_delivery(one) for one in page.items], next_cursor=page.next_cursor)

    async def post_patient_prescription(self, message: pb.Prescription) -> pb.Prescription:
        with statuses.told():
            about(message.patient_id)
            content = created(_content(message), read_only(message, KEY), self._now().date().isoformat())

            async def write(once: Once[Prescription] | None) -> Prescription:
                return await spending("database", self._prescriptions.add(content, principal(), patience(), once))

            made = await self._answered(message, pb.Prescription, _message, write)
            about(prescription=made.prescription_id)
            return made

    async def put_patient_prescription(self, message: pb.Prescription) -> pb.Prescription:
        key, version = message.prescription_id, message.version
        with statuses.told():
            about(message.patient_id, prescription=key)
            change = partial(changed, content=accepted(key, _content(message), version))

            async def write(once: Once[Prescription] | None) -> Prescription:
                return await spending(
                    "database",
                    self._prescriptions.replace(key, change, principal(), patience(), if_version=version, once=once),
                )

            return await self._answered(message, pb.Prescription, _message, write)

    async def delete_patient_prescription(self, message: pb.PrescriptionRequest) -> Empty:
        key, patient_id, version = message.prescription_id, message.patient_id, message.if_version
        with statuses.told():
            about(patient_id, prescription=key)
            key_asked(KEY, key, patient_id, version)

            async def write(once: Once[Prescription] | None) -> Prescription:
                return await spending(
                    "database",
                    self._prescriptions.delete(key, patient_id, principal(), patience(), if_version=version, once=once),
                )

            deleted = await self._answered(message, pb.PrescriptionRequest, _whose, write)
            about(deleted.patient_id)
            return Empty()

    async def _answered(self, message: object, kind: type[M], tell: Callable[[Prescription], M], write: Write) -> M:
        try:
            return await answered(message, kind, tell, write)
        finally:
            self._written()

    async def check_health(self, message: Empty) -> pb.HealthStatus:  # noqa: ARG002  # the method has it
        return pb.HealthStatus(is_healthy=self._health.serving)


def _content(message: pb.Prescription) -> PrescriptionContent:
    medications = tuple(taken(Medication, medication) for medication in message.medications)
    return taken(PrescriptionContent, message, medications=medications)


def _page(page: Page[Prescription]) -> pb.PrescriptionPage:
    return pb.PrescriptionPage(items=[_message(one) for one in page.items], next_cursor=page.next_cursor)


def _whose(prescription: Prescription) -> pb.PrescriptionRequest:
    """What is kept of a deletion, so that its repetition can tell whose list has changed."""
    return pb.PrescriptionRequest(prescription_id=prescription.key, patient_id=prescription.content.patient_id)


def _message(prescription: Prescription) -> pb.Prescription:
    medications = [pb.Medication(**asdict(one)) for one in prescription.content.medications]
    return pb.Prescription(**given(prescription, KEY) | {"medications": medications})


def _delivery(one: Delivery) -> pb.Delivery:
    due = rfc3339(one.next_attempt_at) if one.next_attempt_at else ""
    stamps = {"next_attempt_at": due, "created_at": rfc3339(one.created_at), "updated_at": rfc3339(one.updated_at)}
    return taken(pb.Delivery, one, **stamps)
