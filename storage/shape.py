"""What a document is, and how a service's documents lie in their tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Row, Table


class Content(Protocol):
    """What a client wrote, whatever the service."""

    @property
    def patient_id(self) -> int: ...
    @property
    def source_id(self) -> str: ...


C = TypeVar("C", bound=Content)


@dataclass(frozen=True, slots=True)
class Document(Generic[C]):
    """What a client wrote, and which version of which document it is, made when and by whom.

    `deleted` is true of the last version of a document that was deleted: the one that hid it.
    """

    key: int
    content: C
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Shape(Generic[C]):
    """How a service's documents lie in their tables.

    Attributes:
        table: it has `document_columns` and an index on (patient_id, deleted_at, day, key).
        versions: every version of each of them; made by `versions_table`.
        keys: the idempotency keys of their writes; made by `keys_table`.
        key: the name of the id's column.
        day: the name of the column, and of the content's field, that lists are ordered by.
        load: a row's content.
        store: the columns of a content, those of `document_columns` aside.
        weigh: the most bytes a content can take in a message.
    """

    table: Table
    versions: Table
    keys: Table
    key: str
    day: str
    load: Callable[[Row[Any]], C]
    store: Callable[[C], Mapping[str, object]]
    weigh: Callable[[C], int]

    def document(self, row: Row[Any]) -> Document[C]:
        """The document, or the version of one, in a row of either table."""
        key, hidden = getattr(row, self.key), row.deleted_at is not None
        return Document(key, self.load(row), row.version, row.created_at, row.updated_at, row.updated_by, hidden)

    def columns(self, content: C) -> dict[str, object]:
        """All that a row holds of a content."""
        whose = {"patient_id": content.patient_id, "source_id": content.source_id or None}
        return {**self.store(content), **whose}

    def weight(self, document: Document[C]) -> int:
        """The most bytes it takes in a message."""
        return self.weigh(document.content)


def utc_now() -> datetime:
    return datetime.now(UTC)
