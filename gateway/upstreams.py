"""The two services as the routes see them: a schema in, a message out, MeshError in between."""

from collections.abc import Mapping
from typing import Any, Protocol

from gateway.http.cache_status import NOT_KEPT
from gateway.http.operations import Asked
from gateway.http.parameters import DEFAULT_LIMIT
from gateway.schemas import NewPrescription, NewRecord, PrescriptionReplacement, RecordReplacement
from mesh.call import IDEMPOTENCY_KEY, REQUEST_ID, Reply
from mesh.clock import Clock
from mesh.endpoints import EndpointState
from mesh.errors import MeshError
from mesh.served import Served
from mesh.timing import SERVER_TIMING, of_call
from protos.generated.caremesh import v1 as pb

NOT_SENT = {"version", "created_at", "updated_at", "updated_by", "deleted"}
"""Accepted from a client and ignored: the service assigns them. The version that is expected is `If-Match`'s."""


class Caller(Protocol):
    """What the routes need of `mesh.client.ServiceClient`."""

    async def call(
        self,
        method: str,
        message: Any,
        *,
        timeout: float,
        metadata: Mapping[str, str],
        scope: str,
        request_id: str,
        cached: bool,
    ) -> Reply: ...


class Watched(Protocol):
    """What the probes need of it."""

    @property
    def service(self) -> str: ...
    def endpoints(self) -> list[EndpointState]: ...


class Service(Caller, Watched, Protocol):
    """A service as the gateway needs it; `mesh.client.ServiceClient` is one."""


class Upstream:
    """One service: calls carry who asks, which request it is, the key of a write, and the time that is left."""

    def __init__(self, client: Caller, clock: Clock) -> None:
        self._client, self._clock = client, clock

    async def _call(self, asked: Asked, method: str, message: Any) -> Any:
        subject = asked.principal.subject if asked.principal else ""
        key = {IDEMPOTENCY_KEY: asked.key} if asked.key else {}
        begun = self._clock.now()
        try:
            reply = await self._client.call(
                method,
                message,
                timeout=max(0.0, asked.deadline - begun),
                metadata={"principal": subject, REQUEST_ID: asked.request_id, **key},
                scope=subject,
                request_id=asked.request_id,
                cached=asked.cached,
            )
        except MeshError as error:
            self._note(asked, begun, error.served, self._clock.now() - begun)
            raise
        self._note(asked, begun, reply.served, reply.seconds, reply.headers.get(SERVER_TIMING, ""))
        return reply.message

    def _note(self, asked: Asked, begun: float, served: Served | None, attempts: float, told: str = "") -> None:
        exchange, now = asked.exchange, self._clock.now()
        if not asked.key:
            exchange.served = served or NOT_KEPT
        if served is None or served.how == "miss":
            exchange.calls.append((begun, now, of_call(now - begun, attempts, told)))
        elif served.how == "joined":  # its attempts were another's
            exchange.calls.append((begun, now, of_call(now - begun, 0.0, "")))


class RecordsClient(Upstream):
    """Patient records."""

    async def page(self, asked: Asked, patient_id: int) -> pb.RecordPage:
        message = pb.PatientRecordRequest(patient_id=patient_id, **_paging(asked))
        page: pb.RecordPage = await self._call(asked, "GetPatientRecords", message)
        return page

    async def history(self, asked: Asked, record_id: int, patient_id: int) -> pb.RecordPage:
        message = pb.PatientRecordRequest(record_id=record_id, patient_id=patient_id, **_paging(asked))
        page: pb.RecordPage = await self._call(asked, "GetPatientRecordHistory", message)
        return page

    async def read(self, asked: Asked, record_id: int, patient_id: int) -> pb.PatientRecord:
        message = pb.PatientRecordRequest(record_id=record_id, patient_id=patient_id)
        record: pb.PatientRecord = await self._call(asked, "GetPatientRecord", message)
        return record

    async def create(self, asked: Asked, body: NewRecord) -> pb.PatientRecord:
        record: pb.PatientRecord = await self._call(asked, "PostPatientRecords", pb.PatientRecord(**body.model_dump()))
        return record

    async def replace(self, asked: Asked, record_id: int, body: RecordReplacement, version: int) -> pb.PatientRecord:
        fields = body.model_dump(exclude=NOT_SENT | {"record_id"})
        message = pb.PatientRecord(**fields, record_id=record_id, version=version)
        record: pb.PatientRecord = await self._call(asked, "PutPatientRecords", message)
        return record

    async def delete(self, asked: Asked, record_id: int, patient_id: int, version: int) -> None:
        message = pb.PatientRecordRequest(record_id=record_id, patient_id=patient_id, if_version=version)
        await self._call(asked, "DeletePatientRecords", message)


class PrescriptionsClient(Upstream):
    """Prescriptions."""

    async def page(self, asked: Asked, patient_id: int) -> pb.PrescriptionPage:
        message = pb.PatientRequest(patient_id=patient_id, **_paging(asked))
        page: pb.PrescriptionPage = await self._call(asked, "GetPatientPrescriptions", message)
        return page

    async def history(self, asked: Asked, prescription_id: int, patient_id: int) -> pb.PrescriptionPage:
        message = pb.PrescriptionRequest(prescription_id=prescription_id, patient_id=patient_id, **_paging(asked))
        page: pb.PrescriptionPage = await self._call(asked, "GetPrescriptionHistory", message)
        return page

    async def deliveries(self, asked: Asked, prescription_id: int, patient_id: int) -> pb.DeliveryPage:
        message = pb.PrescriptionRequest(prescription_id=prescription_id, patient_id=patient_id, **_paging(asked))
        page: pb.DeliveryPage = await self._call(asked, "GetDeliveries", message)
        return page

    async def read(self, asked: Asked, prescription_id: int, patient_id: int) -> pb.Prescription:
        message = pb.PrescriptionRequest(prescription_id=prescription_id, patient_id=patient_id)
        prescription: pb.Prescription = await self._call(asked, "GetPrescription", message)
        return prescription

    async def create(self, asked: Asked, body: NewPrescription) -> pb.Prescription:
        prescription: pb.Prescription = await self._call(asked, "PostPatientPrescription", _prescription(body))
        return prescription

    async def replace(
        self, asked: Asked, prescription_id: int, body: PrescriptionReplacement, version: int
    ) -> pb.Prescription:
        message = _prescription(body, prescription_id, version)
        prescription: pb.Prescription = await self._call(asked, "PutPatientPrescription", message)
        return prescription

    async def delete(self, asked: Asked, prescription_id: int, patient_id: int, version: int) -> None:
        message = pb.PrescriptionRequest(prescription_id=prescription_id, patient_id=patient_id, if_version=version)
        await self._call(asked, "DeletePatientPrescription", message)


def _paging(asked: Asked) -> dict[str, Any]:
    """The query of a page: its parameters have the names of the messages' fields."""
    return {"limit": DEFAULT_LIMIT, **asked.query}


def _prescription(
    body: NewPrescription | PrescriptionReplacement, prescription_id: int = 0, version: int = 0
) -> pb.Prescription:
    fields = body.model_dump(exclude=NOT_SENT | {"prescription_id", "medications"})
    medications = [pb.Medication(**medication.model_dump()) for medication in body.medications]
    return pb.Prescription(**fields, prescription_id=prescription_id, version=version, medications=medications)
