"""The records service: messages in, documents through the domain's rules into the database, messages out."""

from functools import partial

from hosting.caller import patience, principal
from hosting.messages import given, read_only, taken
from hosting.once import answered
from hosting.tags import about
from mesh.server import Health, spending
from protos.generated.caremesh import v1 as pb
from protos.generated.google.protobuf import Empty
from storage.keys import Once
from storage.pages import Page
from storage.rules import history_asked, key_asked, list_asked
from svc_records.domain import CATEGORIES, Record, RecordContent, accepted, changed, created
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
            about(message.patient_id)
            limit = list_asked(message.patient_id, message.limit, category=(message.category, CATEGORIES))
            only = {"category": message.category} if message.category else {}
            page = await spending(
                "database", self._records.page(message.patient_id, limit, message.cursor, patience(), only=only)
            )
        return _page(page)

    async def get_patient_record(self, message: pb.PatientRecordRequest) -> pb.PatientRecord:
        with statuses.told():
            about(record=message.record_id)
            key_asked(KEY, message.record_id, message.patient_id)
            return _message(
                await spending("database", self._records.get(message.record_id, message.patient_id, patience()))
            )

    async def get_patient_record_history(self, message: pb.PatientRecordRequest) -> pb.RecordPage:
        key, patient_id = message.record_id, message.patient_id
        with statuses.told():
            about(record=key)
            limit = history_asked(KEY, key, patient_id, message.limit)
            return _page(
                await spending("database", self._records.history(key, patient_id, limit, message.cursor, patience()))
            )

    async def post_patient_records(self, message: pb.PatientRecord) -> pb.PatientRecord:
        with statuses.told():
            about(message.patient_id)
            content = created(taken(RecordContent, message), read_only(message, KEY))

            async def write(once: Once[Record] | None) -> Record:
                return await spending("database", self._records.add(content, principal(), patience(), once))

            made = await answered(message, pb.PatientRecord, _message, write)
            about(record=made.record_id)
            return made

    async def put_patient_records(self, message: pb.PatientRecord) -> pb.PatientRecord:
        key, version = message.record_id, message.version
        with statuses.told():
            about(message.patient_id, record=key)
            change = partial(changed, content=accepted(key, taken(RecordContent, message), version))

            async def write(once: Once[Record] | None) -> Record:
                return await spending(
                    "database",
                    self._records.replace(key, change, principal(), patience(), if_version=version, once=once),
                )

            return await answered(message, pb.PatientRecord, _message, write)

    async def delete_patient_records(self, message: pb.PatientRecordRequest) -> Empty:
        key, patient_id, version = message.record_id, message.patient_id, message.if_version
        with statuses.told():
            about(patient_id, record=key)
            key_asked(KEY, key, patient_id, version)

            async def write(once: Once[Record] | None) -> Record:
                return await spending(
                    "database",
                    self._records.delete(key, patient_id, principal(), patience(), if_version=version, once=once),
                )

            deleted = await answered(message, pb.PatientRecordRequest, _whose, write)
            about(deleted.patient_id)
            return Empty()

    async def check_health(self, message: Empty) -> pb.HealthStatus:  # noqa: ARG002  # the method has it
        return pb.HealthStatus(is_healthy=self._health.serving)


def _page(page: Page[Record]) -> pb.RecordPage:
    return pb.RecordPage(items=[_message(record) for record in page.items], next_cursor=page.next_cursor)


def _whose(record: Record) -> pb.PatientRecordRequest:
    """What is kept of a deletion, so that its repetition can tell whose list has changed."""
    return pb.PatientRecordRequest(record_id=record.key, patient_id=record.content.patient_id)


def _message(record: Record) -> pb.PatientRecord:
    return pb.PatientRecord(**given(record, KEY))
