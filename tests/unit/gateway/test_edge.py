"""What every request meets before a route, and every answer carries."""

import logging
import re

import pytest

from gateway.http import operations
from gateway.settings import GatewaySettings
from tests.fakes.gateway import JSON, Gateway

HOSTS = [
    ("localhost", 200),
    ("LOCALHOST:8080", 200),
    ("127.0.0.1:1", 200),
    ("[::1]:8080", 200),
    ("[::1]", 200),
    ("evil.example", 421),
    ("localhost.evil.example", 421),
    ("localhost:80:80", 421),
    ("127.0.0.1.", 421),
    ("::1", 421),
    ("", 421),
    ("localhost:x", 421),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
async def test_a_host_that_is_not_named_is_421(host: str, status: int) -> None:
    """A page that points its own name at 127.0.0.1 must not read records."""
    assert (await Gateway().request("GET", "/livez", headers={"Host": host})).status == status


async def test_two_hosts_are_400() -> None:
    """RFC 9112, 3.2."""
    answer = await Gateway().request("GET", "/livez", headers=[("Host", "localhost"), ("Host", "localhost")])
    assert (answer.status, answer.fields) == (400, ["Host"])


ANSWERS = [
    ("GET", "/livez", 200),
    ("GET", "/records/7", 200),
    ("DELETE", "/records/7", 204),
    ("GET", "/nowhere", 404),
    ("GET", "/records/7/", 404),
    ("GET", "//records/7", 404),
    ("GET", "*", 404),
    ("GET", "/patients/7%2Frecords", 404),
    ("GET", "/records", 405),
    ("TRACE", "/records/7", 405),
    ("GET", "/records/0", 400),
    ("GET", "/" + "a" * 9000, 414),
    ("GET", "/livez?" + "a" * 9000, 414),
]


@pytest.mark.parametrize(("verb", "target", "status"), ANSWERS)
async def test_every_answer_carries_what_every_answer_carries(verb: str, target: str, status: int) -> None:
    """Success, failure, the framework's own failure: the same headers."""
    answer = await Gateway().request(verb, target)
    assert answer.status == status
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["request-id"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"]
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["request_id"] == answer.headers["request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", answer.json["trace_id"])
        assert answer.json["trace_id"] != "0" * 32


async def test_a_read_may_be_kept_by_the_client_alone_and_a_failure_by_nobody() -> None:
    """They are a patient's."""
    gateway = Gateway()
    assert (await gateway.request("GET", "/records/7")).headers["cache-control"] == "private, no-cache"
    assert (await gateway.request("GET", "/records/0")).headers["cache-control"] == "no-store"


async def test_a_wrong_method_says_which_are_right() -> None:
    """RFC 9110 asks for Allow."""
    answer = await Gateway().request("PATCH", "/patients/7/records/12")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, PUT")


IDS = [("visit-0831.a_B", True), ("x" * 64, True), ("x" * 65, False), ("", False), ("a b", False), ("é", False)]


@pytest.mark.parametrize(("given", "kept"), IDS)
async def test_a_well_formed_request_id_is_kept_and_travels_on(given: str, *, kept: bool) -> None:
    """One that is not could break a log line; it is replaced, not refused."""
    gateway = Gateway()
    answer = await gateway.request("GET", "/records/7", headers={"Request-Id": given})
    assert answer.status == 200
    assert (answer.headers["request-id"] == given) == kept
    assert gateway.asked[0].request_id == gateway.asked[0].metadata["request-id"] == answer.headers["request-id"]


TIMEOUTS = [("0.5", 0.5), ("2", 2.0), ("60", 2.0), ("999999", 2.0)]


@pytest.mark.parametrize(("given", "seconds"), TIMEOUTS)
async def test_request_timeout_shortens_the_deadline_and_never_lengthens_it(given: str, seconds: float) -> None:
    """What the gateway grants is the most."""
    gateway = Gateway()
    await gateway.request("GET", "/records/7", headers={"Request-Timeout": given})
    assert seconds - 0.25 < gateway.asked[0].timeout <= seconds


@pytest.mark.parametrize("given", ["x", "", "-1", "0", "0.0", "1e3", "1s", "²", "NaN", "inf", " 1 2", "1."])
async def test_a_malformed_request_timeout_is_400(given: str) -> None:
    """A client that asked for something else would wait for something else."""
    gateway = Gateway()
    answer = await gateway.request("GET", "/records/7", headers={"Request-Timeout": given})
    assert (answer.status, answer.fields, gateway.asked) == (400, ["Request-Timeout"], [])


QUERIES = [
    ("limit=1", []),
    ("limit=200&cursor=abc", []),
    ("limit=2%30", []),
    ("limit=0", ["limit"]),
    ("limit=201", ["limit"]),
    ("limit=-1", ["limit"]),
    ("limit=%D9%A7", ["limit"]),
    ("limit=7.0", ["limit"]),
    ("limit=+7", ["limit"]),
    ("limit=", ["limit"]),
    ("limit", ["limit"]),
    ("limit=1&limit=1", ["limit"]),
    ("Limit=1", ["Limit"]),
    ("cursor=", ["cursor"]),
    ("cursor=a%20b", ["cursor"]),
    ("x=1&y=2", ["x", "y"]),
    ("&", ["query", "query"]),
    ("limit=%zz", ["query"]),
    ("limit=%ff", ["query"]),
    ("colour=note", ["colour"]),
]


@pytest.mark.parametrize(("query", "wrong"), QUERIES)
@pytest.mark.parametrize("path", ["/records/7", "/patients/7/prescriptions"])
async def test_unknown_doubled_and_malformed_parameters_are_named(path: str, query: str, wrong: list[str]) -> None:
    """Never clamped, never ignored: a misspelt limit would silently be another."""
    answer = await Gateway().request("GET", f"{path}?{query}")
    assert answer.status == (400 if wrong else 200)
    assert not wrong or answer.fields == wrong


@pytest.mark.parametrize(("verb", "path"), [("GET", "/livez"), ("GET", "/health"), ("DELETE", "/records/12")])
async def test_operations_without_parameters_take_none(verb: str, path: str) -> None:
    """Also where a parameter could do no harm."""
    assert (await Gateway().request(verb, f"{path}?x=1")).fields == ["x"]


async def test_headers_over_32_kib_are_431() -> None:
    """The parser below, llhttp, has no limit of its own."""
    many = [("X-A", "b" * 1000)] * 33
    assert (await Gateway().request("GET", "/livez", headers=many)).status == 431


async def test_a_request_is_one_log_line_without_path_query_or_body(caplog: pytest.LogCaptureFixture) -> None:
    """The route's template, never what was filled in."""
    caplog.set_level(logging.DEBUG)
    await Gateway().request("GET", "/records/4711?cursor=secret4712", headers={"Request-Id": "r-9"})
    (line,) = [record for record in caplog.records if record.name == "observability.request"]
    assert line.getMessage() == "GET /records/{id} 200"
    assert vars(line)["fields"]["request_id"] == "r-9"
    assert "4711" not in caplog.text
    assert "4712" not in caplog.text


async def test_a_failure_outside_the_framework_is_a_problem_too(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody caught is caught at the edge; uvicorn would log its text."""
    gateway = Gateway()
    gateway.records.fails(SystemError("4713"))
    assert (await gateway.request("GET", "/records/7")).status == 500
    assert "4713" not in caplog.text


async def test_the_principal_travels_as_metadata_and_scope() -> None:
    """Without login it is `local`."""
    gateway = Gateway()
    await gateway.post("/records", {"patient_id": 7, "doctor_id": 3, "record_text": "x", "date": "2026-03-17"})
    assert (gateway.asked[0].metadata["principal"], gateway.asked[0].scope) == ("local", "local")


async def test_cors_is_off_unless_origins_are_named() -> None:
    """A preflight is then a wrong method like any other."""
    ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    closed = await Gateway().request("OPTIONS", "/records", headers=ask)
    assert (closed.status, "access-control-allow-origin" in closed.headers) == (405, False)


async def test_a_named_origin_may_ask_and_read_and_another_may_not() -> None:
    """The Fetch standard's preflight, then the request."""
    gateway = Gateway(settings=GatewaySettings(cors_origins="https://app.example"))
    ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    preflight = await gateway.request("OPTIONS", "/records", headers=ask)
    assert preflight.status == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    read = await gateway.request("GET", "/records/7", headers={"Origin": "https://app.example"})
    assert read.headers["access-control-allow-origin"] == "https://app.example"
    assert read.headers["vary"] == "Origin"
    other = await gateway.request("GET", "/records/7", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    assert other.headers["vary"] == "Origin"


async def test_a_body_that_does_not_come_in_time_is_408_and_ends_the_connection() -> None:
    """A half-sent body must not hold a connection."""
    gateway = Gateway(settings=GatewaySettings(request_timeout=0.05))
    answer = await gateway.request("POST", "/records", b"{", JSON, whole=False)
    assert (answer.status, answer.headers["connection"], gateway.asked) == (408, "close", [])


async def test_a_service_that_ignores_its_deadline_is_cut_off() -> None:
    """The mesh ends a call in time; should it not, the gateway does."""
    gateway = Gateway(settings=GatewaySettings(request_timeout=0.01))
    gateway.prescriptions.stuck = True
    operations.BACKSTOP, before = 0.05, operations.BACKSTOP
    try:
        assert (await gateway.request("GET", "/prescriptions/7")).status == 504
        told = (await gateway.request("DELETE", "/prescriptions/7")).json
    finally:
        operations.BACKSTOP = before
    assert told["type"] == "urn:caremesh:problem:outcome-unknown"
