"""Records in their tables."""

from typing import Any

from sqlalchemy import Row

from storage.documents import Documents
from storage.shape import Shape
from svc_records.domain import RecordContent, weight
from svc_records.tables import keys, record_versions, records

Records = Documents[RecordContent]


def _load(row: Row[Any]) -> RecordContent:
    return RecordContent(
        patient_id=row.patient_id,
        doctor_id=row.doctor_id,
        record_text=row.record_text,
        date=row.date,
        category=row.category,
        source_id=row.source_id or "",
    )


def _store(content: RecordContent) -> dict[str, object]:
    return {
        "doctor_id": content.doctor_id,
        "record_text": content.record_text,
        "date": content.date,
        "category": content.category,
    }


SHAPE = Shape(
    table=records,
    versions=record_versions,
    keys=keys,
    key="record_id",
    day="date",
    load=_load,
    store=_store,
    weigh=weight,
)
