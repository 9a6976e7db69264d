"""Messages and documents: the fields that both services translate in the same way."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from storage.shape import C, Document

T = TypeVar("T")


def taken(kind: type[T], message: object, **others: object) -> T:
    """A dataclass out of the message's fields of the same names; `others` are given instead."""
    names = (field.name for field in fields(kind) if field.name not in others)  # type: ignore[arg-type]  # a dataclass
    return kind(**{name: getattr(message, name) for name in names}, **others)


def read_only(message: Any, key: str) -> Mapping[str, object]:
    """The fields that only a service sets, as a client sent them."""
    names = (key, "version", "created_at", "updated_at", "updated_by", "deleted")
    return {name: getattr(message, name) for name in names}


def given(document: Document[C], key: str) -> dict[str, Any]:
    """The fields of the message that answers with a document: its id, its content, which version it is."""
    content = document.content
    return {
        key: document.key,
        **{field.name: getattr(content, field.name) for field in fields(content)},  # type: ignore[arg-type]  # a dataclass
        "version": document.version,
        "created_at": rfc3339(document.created_at),
        "updated_at": rfc3339(document.updated_at),
        "updated_by": document.updated_by,
        "deleted": document.deleted,
    }


def rfc3339(moment: datetime) -> str:
    """UTC with microseconds, always 27 characters."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
