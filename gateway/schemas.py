"""The bodies of requests and answers. Requests are strict: no unknown field, no number as text, nothing coerced."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.examples import (
    MEDICATION,
    NEW_PRESCRIPTION,
    NEW_RECORD,
    PRESCRIPTION,
    PRESCRIPTION_HISTORY,
    RECORD,
    RECORD_HISTORY,
)
from gateway.fields import (
    Address,
    AnyStatus,
    Category,
    Count,
    Day,
    Id,
    Line,
    Mailbox,
    Moment,
    Name,
    NewStatus,
    NextStatus,
    OptionalDay,
    PathId,
    Quantity,
    SourceId,
    Text,
    Undeleted,
)

READ_ONLY = frozenset({"record_id", "prescription_id", "version", "created_at", "updated_at", "updated_by", "deleted"})
"""What the services assign."""

Cursor = Annotated[str, Field(description="What to send as `cursor` for the next page; empty on the last.")]
Ignored = Annotated[Any, Field(description="Assigned by the service; accepted here and ignored.")]


class Body(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Answer(BaseModel):
    """What a client gets: every field, always. Later versions may add some."""

    model_config = ConfigDict(strict=True, frozen=True)


class NewRecord(Body):
    """A record to be written."""

    model_config = ConfigDict(json_schema_extra={"examples": [NEW_RECORD]})

    patient_id: Annotated[Id, Field(description="Whose record it is. It stays with this patient.")]
    doctor_id: Annotated[Id, Field(description="Who vouches for it.")]
    record_text: Annotated[Text, Field(min_length=1, description="The text, at most 64 KiB in UTF-8.")]
    date: Annotated[Day, Field(description="The day it speaks of.")]
    category: Annotated[Category, Field(description="What kind of record it is.")] = "note"
    source_id: Annotated[
        SourceId, Field(description="Your own name for it, unique for good: a second POST with it is 409.")
    ] = ""


class RecordReplacement(NewRecord):
    """All of a record's own fields. What was read may be changed and sent back as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [RECORD]})

    record_id: PathId = 0
    source_id: Annotated[SourceId, Field(description="If present, the stored one.")] = ""
    version: Ignored = None
    created_at: Ignored = None
    updated_at: Ignored = None
    updated_by: Ignored = None
    deleted: Annotated[Undeleted, Field(description="As every read has it; what was read may be sent back.")] = False


class Record(Answer):
    """A record as it is stored."""

    model_config = ConfigDict(json_schema_extra={"examples": [RECORD]})

    record_id: Id
    patient_id: Id
    doctor_id: Id
    record_text: str
    date: Day
    category: Category
    version: Annotated[Id, Field(description="1 when created, one more with each change.")]
    created_at: Moment
    updated_at: Moment
    updated_by: Annotated[str, Field(description="Who changed it last.")]
    source_id: str
    deleted: Annotated[bool, Field(description="True only in a history: this version hid it.")]


class RecordPage(Answer):
    """Some of a patient's records, newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"patient_id": 7, "records": [RECORD], "next_cursor": ""}]}
    )

    patient_id: Id
    records: tuple[Record, ...]
    next_cursor: Cursor


class RecordHistory(Answer):
    """Some of a record's versions, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [RECORD_HISTORY]})

    record_id: Id
    patient_id: Id
    versions: tuple[Record, ...]
    next_cursor: Cursor


class Medication(Body):
    """One medicine of a prescription."""

    model_config = ConfigDict(json_schema_extra={"examples": [MEDICATION]})

    medication_name: Annotated[Line, Field(min_length=1)]
    dosage: Text = ""
    rxnorm_code: Annotated[Line, Field(description="RxNorm concept identifier.")] = ""
    sig: Annotated[Text, Field(description="Directions to the patient.")] = ""
    quantity: Annotated[Quantity, Field(description="A decimal as text.")] = ""
    days_supply: Annotated[Count | None, Field(description="Days it lasts; null when not given.")] = None
    refills: Annotated[Count | None, Field(description="0 is a value: none. Null when not given.")] = None
    reason: Text = ""
    strength: Line = ""
    form: Line = ""


class PrescriptionFields(Body):
    """What new prescriptions and replacements share."""

    patient_id: Annotated[Id, Field(description="Whose prescription it is. It stays with this patient.")]
    doctor_id: Annotated[Id, Field(description="Who prescribes.")]
    medications: Annotated[tuple[Medication, ...], Field(min_length=1, max_length=100)]
    mail_to: Annotated[Mailbox, Field(description="The address of one mailbox; empty: it is not mailed.")] = ""
    patient_name: Name = ""
    prescriber_name: Name = ""
    written_on: Annotated[OptionalDay, Field(description="Empty or absent: today, UTC.")] = ""
    patient_birth_date: OptionalDay = ""
    patient_address: Address = ""
    prescriber_address: Address = ""


class NewPrescription(PrescriptionFields):
    """A prescription to be written."""

    model_config = ConfigDict(json_schema_extra={"examples": [NEW_PRESCRIPTION]})

    status: NewStatus = "active"
    source_id: Annotated[
        SourceId, Field(description="Your own name for it, unique for good: a second POST with it is 409.")
    ] = ""


class PrescriptionReplacement(PrescriptionFields):
    """All of a prescription's own fields. What was read may be changed and sent back as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [PRESCRIPTION]})

    status: Annotated[NextStatus, Field(description="Empty or absent: it stays as it is.")] = ""
    written_on: Annotated[OptionalDay, Field(description="Empty or absent: it stays as it is.")] = ""
    source_id: Annotated[SourceId, Field(description="If present, the stored one.")] = ""
    prescription_id: PathId = 0
    version: Ignored = None
    created_at: Ignored = None
    updated_at: Ignored = None
    updated_by: Ignored = None
    deleted: Annotated[Undeleted, Field(description="As every read has it; what was read may be sent back.")] = False


class StoredMedication(Answer):
    """One medicine of a stored prescription."""

    model_config = ConfigDict(json_schema_extra={"examples": [MEDICATION]})

    medication_name: str
    dosage: str
    rxnorm_code: str
    sig: str
    quantity: str
    days_supply: Count | None
    refills: Count | None
    reason: str
    strength: str
    form: str


class Prescription(Answer):
    """A prescription as it is stored."""

    model_config = ConfigDict(json_schema_extra={"examples": [PRESCRIPTION]})

    prescription_id: Id
    patient_id: Id
    doctor_id: Id
    medications: tuple[StoredMedication, ...]
    status: AnyStatus
    version: Annotated[Id, Field(description="1 when created, one more with each change.")]
    mail_to: str
    patient_name: str
    prescriber_name: str
    written_on: Day
    created_at: Moment
    updated_at: Moment
    updated_by: Annotated[str, Field(description="Who changed it last.")]
    source_id: str
    patient_birth_date: OptionalDay
    patient_address: str
    prescriber_address: str
    deleted: Annotated[bool, Field(description="True only in a history: this version hid it.")]


class PrescriptionPage(Answer):
    """Some of a patient's prescriptions, newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"patient_id": 7, "prescriptions": [PRESCRIPTION], "next_cursor": ""}]}
    )

    patient_id: Id
    prescriptions: tuple[Prescription, ...]
    next_cursor: Cursor


class PrescriptionHistory(Answer):
    """Some of a prescription's versions, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [PRESCRIPTION_HISTORY]})

    prescription_id: Id
    patient_id: Id
    versions: tuple[Prescription, ...]
    next_cursor: Cursor
