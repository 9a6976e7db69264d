"""Failures of storage as statuses."""

import pytest

from hosting.statuses import TABLE, Statuses
from mesh.call import CACHE_TAGS
from mesh.clock import SystemClock
from mesh.errors import Violation
from mesh.server import ServerCall, StatusError
from mesh.server.current import handling
from mesh.status import Status
from storage import errors

# What stops a process before it serves never reaches a caller.
BEFORE_SERVING = {errors.AddressError, errors.CopyRefused, errors.MigrationFailed}


@pytest.fixture(autouse=True)
def call() -> ServerCall:
    """The call that is being handled."""
    call = ServerCall("/test/Method", {}, None, SystemClock())
    handling(call)
    return call


def told(error: errors.StorageError) -> StatusError:
    with pytest.raises(StatusError) as caught, Statuses("record").told():
        raise error
    return caught.value


def test_every_failure_that_can_reach_a_caller_has_a_status() -> None:
    """One that has none would be INTERNAL, and a client could not act on it."""
    of_storage = {kind for kind in errors.StorageError.__subclasses__() if kind.__module__ == errors.__name__}
    assert set(TABLE) == of_storage - BEFORE_SERVING


@pytest.mark.parametrize(
    ("error", "status", "code", "info"),
    [
        (errors.NotFound(7), Status.NOT_FOUND, "", {}),
        (errors.Deleted(7, 5), Status.NOT_FOUND, "DELETED", {"record_id": "7"}),
        (
            errors.SourceTaken(7, 9),
            Status.ALREADY_EXISTS,
            "SOURCE_TAKEN",
            {"record_id": "7", "patient_id": "9"},
        ),
        (errors.VersionMismatch(7, 3, 5), Status.ABORTED, "VERSION_MISMATCH", {"record_id": "7", "version": "3"}),
        (
            errors.IllegalStep("draft", ("active", "cancelled")),
            Status.FAILED_PRECONDITION,
            "ILLEGAL_STEP",
            {"from": "draft", "legal": "active,cancelled"},
        ),
        (errors.KeyReused("?"), Status.FAILED_PRECONDITION, "KEY_REUSED", {}),
        (errors.Unavailable("DATABASE_BUSY", "busy"), Status.UNAVAILABLE, "DATABASE_BUSY", {}),
        (errors.Unavailable("DATABASE_FULL", "no room"), Status.RESOURCE_EXHAUSTED, "DATABASE_FULL", {}),
        (errors.Unfit(["a setting"]), Status.UNAVAILABLE, "DATABASE_DOWN", {}),
        (errors.OutcomeUnknown("?"), Status.UNAVAILABLE, "OUTCOME_UNKNOWN", {}),
        (errors.IdsExhausted(), Status.INTERNAL, "IDS_EXHAUSTED", {}),
    ],
)
def test_a_failure_tells_its_status_its_code_and_what_a_program_needs(
    error: errors.StorageError, status: Status, code: str, info: dict[str, str]
) -> None:
    """The gateway answers 410, 409 with `Location`, 503 or 504 by these alone."""
    answer = told(error)
    assert (answer.status, answer.code, dict(answer.info)) == (status, code, info)


@pytest.mark.parametrize(
    ("error", "tags"),
    [
        (errors.VersionMismatch(7, 3, 5), "patient/5 record/7"),
        (errors.Deleted(7, 5), "patient/5 record/7"),
        (errors.SourceTaken(7, 5), "patient/5 record/7"),
        (errors.NotFound(7), "record/7"),
        (errors.KeyReused(), None),
    ],
)
def test_who_is_refused_for_what_is_stored_reads_it_anew(
    error: errors.StorageError, tags: str | None, call: ServerCall
) -> None:
    """After a 412 a client reads again, and must not find what it relied on."""
    told(error)
    assert call.trailers.get(CACHE_TAGS) == tags


def test_an_illegal_step_names_the_legal_ones() -> None:
    """The client's next step."""
    assert "can become active, cancelled" in told(errors.IllegalStep("draft", ("active", "cancelled"))).message
    assert "stays so" in told(errors.IllegalStep("entered-in-error", ())).message


def test_every_field_that_was_not_acceptable_is_told() -> None:
    """They become the problem's `errors`."""
    answer = told(errors.Invalid([errors.Violation("date", "is required"), errors.Violation("limit", "must be …")]))
    assert answer.status is Status.INVALID_ARGUMENT
    assert answer.violations == (Violation("date", "is required"), Violation("limit", "must be …"))


def test_a_text_names_the_document_and_no_patient() -> None:
    """Texts are logged and shown; patient_id is patient data, and may only travel as info."""
    assert told(errors.SourceTaken(7, 99)).message.startswith("record 7 ")
    assert "99" not in told(errors.SourceTaken(7, 99)).message


def test_what_is_no_failure_of_storage_passes_untouched() -> None:
    """A bug must stay a bug."""
    with pytest.raises(ZeroDivisionError), Statuses("record").told():
        raise ZeroDivisionError
