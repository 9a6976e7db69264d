"""Every way a call can fail becomes the problem that the design's table names, and tells nothing of the inside."""

import pytest

from gateway.http import problems
from gateway.http.problems import kind_of, problem_of
from mesh.errors import CircuitOpen, DeadlineExceeded, Lost, MeshError, Overloaded, Rejected, RemoteError, Unreachable
from mesh.status import Status
from tests.fakes.gateway import Gateway
from tests.fakes.upstream import every_mesh_error

# DESIGN, REST, Errors: without a reason.
PLAIN = {
    Status.CANCELLED: 503,
    Status.UNKNOWN: 500,
    Status.INVALID_ARGUMENT: 400,
    Status.DEADLINE_EXCEEDED: 504,
    Status.NOT_FOUND: 404,
    Status.ALREADY_EXISTS: 409,
    Status.PERMISSION_DENIED: 403,
    Status.RESOURCE_EXHAUSTED: 429,
    Status.FAILED_PRECONDITION: 400,
    Status.ABORTED: 409,
    Status.OUT_OF_RANGE: 400,
    Status.UNIMPLEMENTED: 501,
    Status.INTERNAL: 500,
    Status.UNAVAILABLE: 503,
    Status.DATA_LOSS: 500,
    Status.UNAUTHENTICATED: 401,
}
# The same, with google.rpc.ErrorInfo.reason.
REASONED = {
    (Status.NOT_FOUND, "DELETED"): 410,
    (Status.ABORTED, "VERSION_MISMATCH"): 412,
    (Status.RESOURCE_EXHAUSTED, "TOO_LARGE"): 413,
    (Status.RESOURCE_EXHAUSTED, "REPLY_TOO_LARGE"): 500,
    (Status.RESOURCE_EXHAUSTED, "DATABASE_FULL"): 503,
    (Status.FAILED_PRECONDITION, "KEY_REUSED"): 422,
    (Status.FAILED_PRECONDITION, "ILLEGAL_STEP"): 409,
    (Status.FAILED_PRECONDITION, "IF_MATCH_REQUIRED"): 428,
    (Status.UNAVAILABLE, "OVERLOADED"): 503,
    (Status.UNAVAILABLE, "OUTCOME_UNKNOWN"): 504,
}
UNSENT = {"DeadlineExceeded": 504, "Lost": 504, "MeshError": 500}
NOT_SAID = "a text of the inside that no client may see"


def made(cls: type[MeshError], *, maybe_done: bool = False) -> MeshError:
    """An error of a class, whatever its constructor takes."""
    error = RemoteError(Status.UNAVAILABLE, NOT_SAID) if issubclass(cls, RemoteError) else cls(NOT_SAID)
    error.maybe_done = error.maybe_done or maybe_done
    return error


def test_the_walk_below_knows_every_status_and_every_reason() -> None:
    """A new code must get its line in the table and here."""
    assert set(PLAIN) == set(Status) - {Status.OK}
    assert set(problems.BY_CODE) == set(REASONED)


@pytest.mark.parametrize("status", PLAIN)
@pytest.mark.parametrize("code", ["", "SOMETHING_NEW", *sorted(code for _, code in REASONED)])
def test_a_status_and_reason_become_the_http_status_of_the_design(status: Status, code: str) -> None:
    """A reason that does not belong to the status, or that is not known, changes nothing."""
    expected = REASONED.get((status, code), PLAIN[status])
    assert kind_of(RemoteError(status, NOT_SAID, code=code), write=False).status == expected


@pytest.mark.parametrize("cls", every_mesh_error())
def test_every_error_of_the_mesh_has_a_line_of_its_own(cls: type[MeshError]) -> None:
    """Rejected is 503, the unanswered is 504, and nothing falls through to another's line by accident."""
    expected = UNSENT.get(cls.__name__, 503)
    assert kind_of(made(cls), write=False).status == expected
    assert cls is RemoteError or cls in problems.BY_ERROR


@pytest.mark.parametrize("cls", every_mesh_error())
def test_a_write_that_may_have_been_done_is_504_whatever_its_last_attempt_said(cls: type[MeshError]) -> None:
    """503 would say that nothing was done."""
    kind = kind_of(made(cls, maybe_done=True), write=True)
    assert kind is problems.UNKNOWN_OUTCOME
    assert kind_of(made(cls, maybe_done=True), write=False) is not problems.UNKNOWN_OUTCOME


def test_a_deadline_that_passed_before_anything_was_sent_leaves_nothing_in_doubt() -> None:
    """The client of a write need not go and look."""
    assert kind_of(DeadlineExceeded("late"), write=True) is problems.LATE
    assert kind_of(RemoteError(Status.DEADLINE_EXCEEDED, "late"), write=True) is problems.UNKNOWN_OUTCOME


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (CircuitOpen("", retry_after=2.2), "3"),
        (Overloaded("", retry_after=0.01), "1"),
        (Unreachable(""), "1"),
        (Rejected("", retry_after=0.0), "1"),
        (RemoteError(Status.RESOURCE_EXHAUSTED, ""), "1"),
        (RemoteError(Status.UNAVAILABLE, "", pushback=4.2), "5"),
        (RemoteError(Status.UNAVAILABLE, "", pushback=-1.0), "1"),
        (Lost(""), None),
    ],
)
def test_retry_after_is_whole_seconds_of_at_least_one(error: MeshError, seconds: str | None) -> None:
    """RFC 9110 takes whole seconds only, and 0 would be an invitation to hammer."""
    assert problem_of(error, write=False).headers.get("Retry-After") == seconds


def test_a_taken_source_id_says_where_its_holder_is() -> None:
    """So that an importer that lost an answer finds what it has written."""
    info = {"prescription_id": "41", "patient_id": "7"}
    problem = problem_of(RemoteError(Status.ALREADY_EXISTS, "", info=info), write=True)
    assert problem.headers["Location"] == "/patients/7/prescriptions/41"


@pytest.mark.parametrize("status", PLAIN)
@pytest.mark.parametrize("verb", ["GET", "DELETE"])
async def test_the_answer_is_a_problem_with_all_its_members_and_nothing_of_the_inside(
    status: Status, verb: str
) -> None:
    """From the service's answer to the client's bytes, 5xx without the service's text."""
    gateway = Gateway()
    gateway.records.fails(RemoteError(status, NOT_SAID))
    answer = await gateway.request(verb, "/patients/7/records/12", headers={"Request-Id": "r-1"})
    told = answer.json
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "instance", "request_id", "trace_id"} <= told.keys()
    assert told["status"] == answer.status
    assert told["instance"] == "urn:caremesh:request:r-1"
    assert answer.status < 500 or NOT_SAID not in answer.body.decode()
    assert ("errors" in told) == (answer.status in (400, 422))


async def test_a_defect_of_ours_is_500_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the client nor the log sees the text: it may be a patient's."""
    gateway = Gateway()
    gateway.records.fails(ValueError(NOT_SAID))
    answer = await gateway.request("GET", "/records/7")
    assert (answer.status, answer.json["type"]) == (500, "urn:caremesh:problem:internal")
    assert NOT_SAID not in answer.body.decode() + caplog.text
    assert "ValueError at upstream.py" in caplog.text
