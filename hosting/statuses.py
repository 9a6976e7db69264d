"""Failures of storage as gRPC statuses: the one table of the services."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hosting.tags import about
from mesh.errors import OUTCOME_UNKNOWN, Violation
from mesh.server import StatusError
from mesh.status import Status
from storage import errors
from storage.failures import DOWN, FULL, unavailable

Telling = Callable[[str, Any], StatusError]


def _invalid(_noun: str, error: errors.Invalid) -> StatusError:
    violations = tuple(Violation(*violation) for violation in error.violations)
    return StatusError(Status.INVALID_ARGUMENT, "these fields are not acceptable", violations=violations)


def _not_found(noun: str, error: errors.NotFound) -> StatusError:
    return StatusError(Status.NOT_FOUND, f"{noun} {error.key} does not exist")


def _deleted(noun: str, error: errors.Deleted) -> StatusError:
    info = {f"{noun}_id": str(error.key)}
    return StatusError(Status.NOT_FOUND, f"{noun} {error.key} has been deleted", code="DELETED", info=info)


def _source_taken(noun: str, error: errors.SourceTaken) -> StatusError:
    info = {f"{noun}_id": str(error.key), "patient_id": str(error.patient_id)}
    text = f"{noun} {error.key} was written with this source_id, which is kept for good"
    return StatusError(Status.ALREADY_EXISTS, text, code="SOURCE_TAKEN", info=info)


def _mismatch(noun: str, error: errors.VersionMismatch) -> StatusError:
    info = {f"{noun}_id": str(error.key), "version": str(error.version)}
    text = f"{noun} {error.key} is of version {error.version}; read it again and decide anew"
    return StatusError(Status.ABORTED, text, code="VERSION_MISMATCH", info=info)


def _illegal(noun: str, error: errors.IllegalStep) -> StatusError:
    legal = ", ".join(error.legal)
    text = f"a {noun} that is {error.stored} {f'can become {legal}' if legal else 'stays so'}"
    info = {"from": error.stored, "legal": ",".join(error.legal)}
    return StatusError(Status.FAILED_PRECONDITION, text, code="ILLEGAL_STEP", info=info)


def _reused(_noun: str, _error: errors.KeyReused) -> StatusError:
    text = "this Idempotency-Key was used for another request; choose a new one"
    return StatusError(Status.FAILED_PRECONDITION, text, code="KEY_REUSED")


def _exhausted(noun: str, _error: errors.IdsExhausted) -> StatusError:
    return StatusError(Status.INTERNAL, f"every {noun}_id has been given out", code="IDS_EXHAUSTED")


def _unavailable(_noun: str, error: errors.Unavailable) -> StatusError:
    # A full disk is not the service's ill health: it reads as before, and no breaker may keep readers away from it.
    status = Status.RESOURCE_EXHAUSTED if error.code == FULL else Status.UNAVAILABLE
    return StatusError(status, str(error), code=error.code)


def _unfit(noun: str, _error: errors.Unfit) -> StatusError:
    return _unavailable(noun, unavailable(DOWN))  # how a server is set up is not a client's business


def _unknown(_noun: str, error: errors.OutcomeUnknown) -> StatusError:
    return StatusError(Status.UNAVAILABLE, str(error), code=OUTCOME_UNKNOWN)


TABLE: Mapping[type[errors.StorageError], Telling] = {
    errors.Invalid: _invalid,
    errors.NotFound: _not_found,
    errors.Deleted: _deleted,
    errors.SourceTaken: _source_taken,
    errors.VersionMismatch: _mismatch,
    errors.IllegalStep: _illegal,
    errors.KeyReused: _reused,
    errors.IdsExhausted: _exhausted,
    errors.Unavailable: _unavailable,
    errors.Unfit: _unfit,
    errors.OutcomeUnknown: _unknown,
}


class Statuses:
    """The table for one kind of document.

    Args:
        noun: "record", whose id is `record_id`.
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun

    @contextmanager
    def told(self) -> Iterator[None]:
        """A failure of storage leaves the block as a StatusError."""
        try:
            yield
        except errors.StorageError as error:
            telling = TABLE.get(type(error))
            if telling is None:
                raise
            # Whoever is refused for what is stored had read something else.
            about(getattr(error, "patient_id", 0), **{self._noun: getattr(error, "key", 0)})
            raise telling(self._noun, error) from None
