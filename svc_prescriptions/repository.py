"""Prescriptions in their tables."""

from dataclasses import asdict
from typing import Any

import orjson
from sqlalchemy import Row

from storage.documents import Documents
from storage.shape import Shape
from svc_prescriptions.domain import Medication, PrescriptionContent, weight
from svc_prescriptions.tables import keys, prescription_versions, prescriptions

Prescriptions = Documents[PrescriptionContent]

# The columns that hold a field as it is.
PLAIN = (
    "doctor_id",
    "status",
    "mail_to",
    "patient_name",
    "prescriber_name",
    "written_on",
    "patient_birth_date",
    "patient_address",
    "prescriber_address",
)


def _load(row: Row[Any]) -> PrescriptionContent:
    return PrescriptionContent(
        patient_id=row.patient_id,
        source_id=row.source_id or "",
        medications=tuple(Medication(**one) for one in orjson.loads(row.medications)),
        **{name: getattr(row, name) for name in PLAIN},
    )


def _store(content: PrescriptionContent) -> dict[str, object]:
    plain = {name: getattr(content, name) for name in PLAIN}
    return {**plain, "medications": orjson.dumps([_written(one) for one in content.medications]).decode()}


def _written(one: Medication) -> dict[str, object]:
    # What is absent takes no room; 0 refills is a value.
    return {name: value for name, value in asdict(one).items() if value not in ("", None)}


SHAPE = Shape(
    table=prescriptions,
    versions=prescription_versions,
    keys=keys,
    key="prescription_id",
    day="written_on",
    load=_load,
    store=_store,
    weigh=weight,
)
