"""`Proxy-Status` tells in a line why a call failed: each attempt by endpoint and outcome, and why none followed."""

import re
from collections.abc import Iterator

import pytest

from gateway.http import proxy_status
from gateway.http.problems import problem_of
from gateway.http.proxy_status import told
from mesh.errors import CircuitOpen, Lost, MeshError, RemoteError
from mesh.events import Chosen, Event, NobodyToAsk, NotRetried, Retried
from mesh.status import Status
from tests.fakes.gateway import Gateway
from tests.fakes.reasons import outcomes
from tests.fakes.upstream import every_mesh_error

METHOD = "/caremesh.v1.PatientRecordsService/GetPatientRecords"
# RFC 9651, 4.1: an item that is a token, with parameters whose values are tokens or strings.
FIELD = re.compile(r'caremesh(; error=(?P<error>[a-z_]+))?; details="(?P<details>([ !#-\[\]-~]|\\[\\"])*)"')
# RFC 9209, 2.3.
ERRORS = {
    "connection_limit_reached",
    "connection_read_timeout",
    "connection_refused",
    "connection_terminated",
    "destination_unavailable",
    "http_response_timeout",
    "proxy_internal_error",
}


def header(error: MeshError) -> str:
    return str(problem_of(error, write=False).headers["Proxy-Status"])


def errors() -> Iterator[MeshError]:
    """One of each class, of each reason that the mesh gives, and of each status that is a fault of the far side."""
    for cls in every_mesh_error():
        if cls is not RemoteError:
            yield cls("the inside")
    for reason in sorted(outcomes()):
        yield Lost("the inside", reason=reason)
    for status in (Status.UNAVAILABLE, Status.INTERNAL, Status.UNKNOWN, Status.DATA_LOSS, Status.DEADLINE_EXCEEDED):
        yield RemoteError(status, "the inside")


@pytest.mark.parametrize("error", [*errors()], ids=lambda error: f"{type(error).__name__}-{error.reason}")
def test_every_failure_has_a_reason_and_an_error_of_the_rfc(error: MeshError) -> None:
    """Whoever reads "unknown" knows as much as before; a proxy in front reads these names too."""
    error.endpoint = "127.0.0.1:50051"
    found = FIELD.fullmatch(header(error))
    assert found
    assert found["details"] == f"127.0.0.1:50051 {error.reason}"
    assert error.reason not in ("", "unknown")
    assert found["error"] in (ERRORS | {None} if isinstance(error, RemoteError) else ERRORS)


def test_an_answer_of_the_service_is_no_error_of_the_way_and_what_is_the_clients_fault_is_not_told() -> None:
    """RFC 9209: `error` is for what the gateway itself ran into."""
    assert "error=" not in header(RemoteError(Status.INTERNAL, ""))
    assert "Proxy-Status" not in problem_of(RemoteError(Status.NOT_FOUND, ""), write=False).headers


def test_every_error_has_a_line_of_its_own_and_every_line_an_error() -> None:
    """Nothing falls through to another's line by accident, and a class that went away leaves none behind."""
    assert set(proxy_status.BY_ERROR) == set(every_mesh_error()) - {RemoteError}
    assert set(proxy_status.BY_REASON) <= outcomes()


def test_what_stands_in_details_cannot_break_out_of_it() -> None:
    """A header with a line break in it would be two."""
    value = told(None, 'a "quoted" \\ word\r\nSet-Cookie: é')
    assert FIELD.fullmatch(value)
    assert value == 'caremesh; details="a \\"quoted\\" \\\\ word??Set-Cookie: ?"'


def failing(gateway: Gateway, error: MeshError, *events: Event) -> None:
    def outcome(_method: str, _message: object) -> object:
        for event in events:
            gateway.stories(event)
        raise error

    gateway.records.outcome = outcome


async def test_a_client_reads_each_attempt_and_why_there_was_no_further_one() -> None:
    """The short form of what `caremesh explain` tells, where somebody looks first."""
    gateway = Gateway()
    failing(
        gateway,
        Lost("broke", reason="link_broke"),
        Chosen(METHOD, "r-1", "127.0.0.1:50051", "cheaper", (), 2, 2),
        Retried(METHOD, "r-1", 1, "attempt_timeout", 0.01, 9),
        NobodyToAsk(METHOD, "r-1", 2, "none_available"),
        Retried(METHOD, "r-1", 2, "no_endpoint", 0.01, 8),
        Chosen(METHOD, "r-1", "127.0.0.1:50052", "only_one", (), 1, 2),
        NotRetried(METHOD, "r-1", 3, "link_broke", "attempts_spent", 8),
    )
    answer = await gateway.request("GET", "/records/7", headers={"Request-Id": "r-1"})
    assert answer.headers["proxy-status"] == (
        "caremesh; error=connection_terminated; "
        'details="127.0.0.1:50051 attempt_timeout, no_endpoint, 127.0.0.1:50052 link_broke; '
        'not repeated: attempts_spent"'
    )


async def test_a_request_is_kept_with_its_route_and_its_answer_and_probes_are_not() -> None:
    """The story ends with what the client got; the supervisor's questions each second are none."""
    gateway = Gateway()
    failing(gateway, CircuitOpen("open"))
    await gateway.request("GET", "/patients/7/records", headers={"Request-Id": "r-2"})
    await gateway.request("GET", "/readyz", headers={"Request-Id": "r-3"})
    await gateway.request("SECRET", "/nowhere", headers={"Request-Id": "r-4"})
    told_of = gateway.stories.told("r-2")
    assert told_of is not None
    last = told_of["events"][-1]
    assert (last["verb"], last["route"], last["status"]) == ("GET", "/patients/{patient_id}/records", 503)
    assert gateway.stories.told("r-3") is None
    assert "SECRET" not in str(gateway.stories.told("r-4"))
