"""One trace from the HTTP request to the SQL statement, over the real processes and a collector."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.collector import Collector, SeenSpan, nobody
from tests.stack import Stack

RECORD = {"patient_id": 7, "doctor_id": 3, "record_text": "a text", "date": "2024-02-29"}
pytestmark = pytest.mark.xdist_group("trace")  # one worker starts the clinic of this file
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def clinic(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {ENDPOINT: collector.endpoint}
    with Stack(tmp_path_factory.mktemp("clinic"), settings=settings) as running:
        yield running


def traced(collector: Collector, trace_id: str, *names: str) -> list[SeenSpan]:
    """The spans of one trace in the order of their beginning, once those of these names are there."""

    def those(spans: list[SeenSpan]) -> list[SeenSpan]:
        return sorted((span for span in spans if span.trace_id == trace_id), key=lambda span: span.start)

    return those(collector.wait_for(lambda spans: set(names) <= {span.name for span in those(spans)}))


def test_a_request_is_one_trace_from_http_through_grpc_to_sql(clinic: Stack, collector: Collector) -> None:
    clinic.ask("POST", "/records", RECORD)
    status, _ = clinic.ask("GET", "/patients/7/records", headers={"traceparent": PARENT})
    assert status == 200
    spans = traced(collector, PARENT[3:35], "GET /patients/{patient_id}/records", "SELECT records")
    request, attempt, handled, *statements = spans
    assert [(span.service, span.process, span.kind) for span in (request, attempt, handled)] == [
        ("gateway", "gateway.1", "server"),
        ("gateway", "gateway.1", "client"),
        ("records", "records.1", "server"),
    ]
    assert request.name == "GET /patients/{patient_id}/records"
    assert attempt.name == handled.name == "caremesh.v1.PatientRecordsService/GetPatientRecords"
    assert (request.parent_id, attempt.parent_id) == (PARENT[36:52], request.span_id)
    assert handled.parent_id == attempt.span_id
    assert {span.parent_id for span in statements} == {handled.span_id}
    assert clinic.endpoints("records") == [f"127.0.0.1:{attempt.attributes['server.port']}"]


def test_a_write_nests_its_statements_too(clinic: Stack, collector: Collector) -> None:
    parent = PARENT.replace("0af7", "1af7")
    medications = [{"medication_name": "a name"}]
    body = {"patient_id": 7, "doctor_id": 3, "medications": medications}
    status, _ = clinic.ask("POST", "/prescriptions", body, {"traceparent": parent})
    assert status == 201
    spans = traced(collector, parent[3:35], "POST /prescriptions", "INSERT prescriptions")
    by_id = {span.span_id: span.name for span in spans}
    (insert,) = (span for span in spans if span.name == "INSERT prescriptions")
    assert by_id[insert.parent_id] == "caremesh.v1.PrescriptionManagementService/PostPatientPrescription"
    assert not any(span.failed for span in spans)


def test_a_problem_names_its_trace_and_the_log_line_does(clinic: Stack, collector: Collector) -> None:
    """Who got a problem can tell which trace to look at."""
    status, problem = clinic.ask("GET", "/patients/7/records/2147483647", headers={"Request-Id": "look-for-me"})
    assert status == 404
    request, *_ = traced(collector, problem["trace_id"], "GET /patients/{patient_id}/records/{record_id}")
    assert request.attributes["http.response.status_code"] == 404
    lines = [line for line in clinic.told.splitlines() if "look-for-me" in line]
    assert len(lines) == 2, "one line of the gateway, one of the service"
    assert all(problem["trace_id"] in line for line in lines)


@pytest.mark.parametrize("state", ["away", "black hole"])
def test_a_collector_that_does_not_answer_harms_nobody(state: str, tmp_path: Path) -> None:
    """Every request is answered, each has its trace id, and all processes end on a signal."""
    with Collector() as collector:
        collector.held.set()
        settings = {ENDPOINT: nobody() if state == "away" else collector.endpoint}
        with Stack(tmp_path, settings=settings) as clinic:
            answers: list[tuple[int, Any]] = [clinic.ask("POST", "/records", RECORD) for _ in range(50)]
            if state == "black hole":
                collector.wait_for_requests(2)
            answers += [clinic.ask("GET", "/patients/7/records/9") for _ in range(50)]
            for process in reversed(clinic.processes.values()):
                process.send(signal.SIGTERM)
            ends = [process.running and process.running.returncode for process in clinic.processes.values()]
            said = clinic.told
    assert [status for status, _ in answers] == [201] * 50 + [200] * 50
    assert ends == [0] * 4
    assert "spans were never delivered to http://127.0.0.1:" in said
    assert "Traceback" not in said
