"""What a record is and what makes one acceptable. Pure: no messages, no database."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from storage.rules import Rules, text_bytes
from storage.shape import Document

CATEGORIES = ("medical-history", "diagnosis", "treatment-plan", "note")
DEFAULT_CATEGORY = "note"
OVERHEAD_BYTES = 640  # more than ids, stamps, tags and lengths of a record take in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordContent:
    """What a client writes."""

    patient_id: int = 0
    doctor_id: int = 0
    record_text: str = ""
    date: str = ""
    category: str = ""
    source_id: str = ""


Record = Document[RecordContent]


def created(content: RecordContent, read_only: Mapping[str, object]) -> RecordContent:
    """The content of a new record, defaults filled in.

    Args:
        content: what the client sent.
        read_only: what it sent in the fields that only the service sets.

    Raises:
        Invalid: naming every field that is not acceptable.
    """
    rules = Rules()
    for field, value in read_only.items():
        rules.absent(field, value)
    _check(content, rules)
    rules.enforce()
    return _with_defaults(content)


def accepted(record_id: int, content: RecordContent, version: int = 0) -> RecordContent:
    """The content of a record's next version, as far as that can be judged without the stored one.

    Args:
        record_id: the stored one's.
        content: what the client sent.
        version: which version it expects to replace; 0 for any.

    Raises:
        Invalid: naming every field that is not acceptable.
    """
    rules = Rules()
    rules.identifier("record_id", record_id)
    rules.amount("version", version)
    _check(content, rules)
    rules.enforce()
    return _with_defaults(content)


def changed(stored: RecordContent, content: RecordContent) -> RecordContent:
    """The next content of a stored record: its patient and its source_id stay. Raises Invalid."""
    rules = Rules()
    rules.kept("patient_id", content.patient_id, stored.patient_id)
    rules.kept("source_id", content.source_id or stored.source_id, stored.source_id)
    rules.enforce()
    return replace(content, source_id=stored.source_id)


def weight(content: RecordContent) -> int:
    """The most bytes that a record with this content takes in a message."""
    return OVERHEAD_BYTES + text_bytes(content.record_text)


def _check(content: RecordContent, rules: Rules) -> None:
    rules.identifier("patient_id", content.patient_id)
    rules.identifier("doctor_id", content.doctor_id)
    rules.lines("record_text", content.record_text, required=True)
    rules.day("date", content.date, required=True)
    if content.category:
        rules.choice("category", content.category, CATEGORIES)
    rules.source_id(content.source_id)


def _with_defaults(content: RecordContent) -> RecordContent:
    return replace(content, category=content.category or DEFAULT_CATEGORY)
