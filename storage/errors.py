"""What a read or a write of a document can end in besides success.

No text here ever holds what a client sent: texts travel to clients, logs and spans.
"""

from collections.abc import Sequence
from typing import NamedTuple


class StorageError(Exception):
    """The root."""


class Violation(NamedTuple):
    """One field that broke a rule, and what to do about it."""

    field: str
    message: str


class Invalid(StorageError):
    """The request breaks rules, all of them named."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(f"{len(violations)} fields are not acceptable")
        self.violations = tuple(violations)


class NotFound(StorageError):
    """No such document, or it is another patient's."""

    def __init__(self, key: int) -> None:
        super().__init__(f"{key} does not exist")
        self.key = key


class Deleted(StorageError):
    """The document was there and has been deleted."""

    def __init__(self, key: int, patient_id: int) -> None:
        super().__init__(f"{key} has been deleted")
        self.key = key
        self.patient_id = patient_id


class SourceTaken(StorageError):
    """Another document, perhaps a deleted one, already holds this source_id."""

    def __init__(self, key: int, patient_id: int) -> None:
        super().__init__(f"the source_id belongs to {key}")
        self.key = key
        self.patient_id = patient_id


class VersionMismatch(StorageError):
    """The document is not any more, or not yet, of the version that the request is about."""

    def __init__(self, key: int, version: int, patient_id: int) -> None:
        super().__init__(f"{key} is of version {version}")
        self.key = key
        self.version = version
        self.patient_id = patient_id


class IllegalStep(StorageError):
    """The document's status cannot become the one that was asked for."""

    def __init__(self, stored: str, legal: Sequence[str]) -> None:
        super().__init__(f"from {stored} there are {len(legal)} legal steps")
        self.stored = stored
        self.legal = tuple(legal)


class KeyReused(StorageError):
    """The idempotency key belongs to another request."""


class IdsExhausted(StorageError):
    """Every id that fits 31 bits has been given out."""


class Unavailable(StorageError):
    """The database cannot answer now, and nothing was changed: the same request may be made again.

    Attributes:
        code: DATABASE_BUSY, DATABASE_FULL or DATABASE_DOWN.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class OutcomeUnknown(StorageError):
    """COMMIT was sent and got no clear answer: the write may or may not be there."""


class AddressError(StorageError, ValueError):
    """The database's address cannot be used; the text has the remedy and never a password."""


class Unfit(StorageError):
    """The database's settings do not suffice for what is promised, so it is not used, and nothing was changed.

    Attributes:
        problems: each with its remedy; so does the text name them.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the database is not fit:\n" + "\n".join(f"  {problem}" for problem in problems))


class CopyRefused(StorageError):
    """A copy of a database cannot be taken or put back; the text says why and what to do."""


class MigrationFailed(StorageError):
    """The schema could not be brought up to date; the text says why."""
