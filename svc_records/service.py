"""The records service: messages in, documents through the domain's rules into the database, messages out."""

from functools import partial

from hosting.caller import patience, principal
from hosting.messages import given, read_only, taken
from mesh.server import Health
from protos.generated.caremesh import v1 as pb
from protos.generated.google.protobuf import Empty
from storage.rules import key_asked, list_asked
from svc_records.domain import Record, RecordContent, accepted, changed, created
from svc_records.errors import statuses
from svc_records.repository import Records

KEY = "record_id"


class RecordsService(pb.PatientRecordsServiceBase):
    """PatientRecordsService as its `.proto` describes it.

    Args:
        records: where they lie.
        health: what every health answer of the process comes from.
    """

    def __init__(self, records: Records, health: Health) -> None:
        self._records = records
        self._health = health

    async def get_patient_records(self, message: pb.PatientRecordRequest) -> pb.RecordPage:
        with statuses.told():
            limit = list_asked(message.patient_id, message.limit)
            page = await self._records.page(message.patient_id, limit, message.cursor, patience())
        return pb.RecordPage(items=[_message(record) for record in page.items], next_cursor=page.next_cursor)

    async def get_patient_record(self, message: pb.PatientRecordRequest) -> pb.PatientRecord:
        with statuses.told():
            key_asked(KEY, message.record_id, message.patient_id)
            return _message(await self._records.get(message.record_id, message.patient_id, patience()))

    async def post_patient_records(self, message: pb.PatientRecord) -> pb.PatientRecord:
        with statuses.told():
            content = created(taken(RecordContent, message), read_only(message, KEY))
            return _message(await self._records.add(content, principal(), patience()))

    async def put_patient_records(self, message: pb.PatientRecord) -> pb.PatientRecord:
        with statuses.told():
            content = accepted(message.record_id, taken(RecordContent, message))
            change = partial(changed, content=content)
            return _message(await self._records.replace(message.record_id, change, principal(), patience()))

    async def delete_patient_records(self, message: pb.PatientRecordRequest) -> Empty:
        with statuses.told():
            key_asked(KEY, message.record_id, message.patient_id)
            await self._records.delete(message.record_id, message.patient_id, principal(), patience())
        return Empty()

    async def check_health(self, message: Empty) -> pb.HealthStatus:  # noqa: ARG002  # the method has it
        return pb.HealthStatus(is_healthy=self._health.serving)


def _message(record: Record) -> pb.PatientRecord:
    return pb.PatientRecord(**given(record, KEY))
