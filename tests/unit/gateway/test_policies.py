"""Policies that are run, not read: each route of the url_map has an auth rule, documented answers and a deadline."""

import asyncio
from typing import Any

import pytest
from quart import Quart

from gateway.auth import Access, principal_of
from gateway.examples import NEW_PRESCRIPTION, NEW_RECORD
from gateway.http import problems
from gateway.http.app import create_app
from gateway.http.conditions import MATCH
from gateway.http.openapi import document, operations
from gateway.http.operations import Operation, template
from gateway.routes import control, prescriptions, records
from gateway.settings import GatewaySettings
from gateway.upstreams import PrescriptionsClient, RecordsClient
from mesh.clock import SystemClock
from mesh.errors import MeshError, RemoteError
from mesh.status import Status
from observability.stories import Stories
from tests.fakes.gateway import JSON, Gateway
from tests.fakes.upstream import FakeService, every_mesh_error
from tests.fakes.waiting import until

# What services without login cannot answer. It goes when its rule comes.
NOT_YET = {401, 403}
# What only a write can be told, and what only one that an If-Match may precede.
OF_WRITES = {"KEY_REUSED"}
OF_CHANGES = {"VERSION_MISMATCH", "IF_MATCH_REQUIRED", "ILLEGAL_STEP"}


def app() -> Quart:
    clock, services = SystemClock(), (FakeService("records"), FakeService("prescriptions"))
    return create_app(
        (
            records.blueprint(RecordsClient(services[0], clock), clock),
            prescriptions.blueprint(PrescriptionsClient(services[1], clock), clock),
            control.blueprint(services, bool, clock),
        ),
        Stories(),
    )


APP = app()
API = document(APP)
ROUTES = sorted(((verb, template(rule.rule), operation) for rule, verb, operation in operations(APP)), key=str)
CALLING = [(verb, path, operation) for verb, path, operation in ROUTES if operation.upstream]

# DESIGN, REST: what must be there for what the services can do.
WANTED = (
    {
        (verb, path.replace("NOUN", noun))
        for noun in ("record", "prescription")
        for verb, path in (
            ("GET", "/NOUNs/{id}"),
            ("POST", "/NOUNs"),
            ("PUT", "/NOUNs/{id}"),
            ("DELETE", "/NOUNs/{id}"),
            ("GET", "/patients/{patient_id}/NOUNs"),
            ("GET", "/patients/{patient_id}/NOUNs/{NOUN_id}"),
            ("PUT", "/patients/{patient_id}/NOUNs/{NOUN_id}"),
            ("DELETE", "/patients/{patient_id}/NOUNs/{NOUN_id}"),
            ("GET", "/patients/{patient_id}/NOUNs/{NOUN_id}/history"),
        )
    }
    | {
        ("GET", "/prescriptions/{id}/deliveries"),
        ("GET", "/patients/{patient_id}/prescriptions/{prescription_id}/deliveries"),
    }
    | {("GET", path) for path in ("/livez", "/readyz", "/health", "/openapi.json", "/docs")}
)


def failures() -> list[MeshError]:
    """One error of every kind that a call can end in."""
    codes = {(status, "") for status in Status if status is not Status.OK} | set(problems.BY_CODE)
    remote: list[MeshError] = [RemoteError(status, "", code=code) for status, code in sorted(codes)]
    return [*remote, *(cls("") for cls in every_mesh_error() if cls is not RemoteError)]


def possible(error: MeshError, operation: Operation) -> bool:
    """Can a service say this of such a call?"""
    code = getattr(error, "code", "")
    return (operation.write or code not in OF_WRITES) and (operation.condition == MATCH or code not in OF_CHANGES)


def filled(path: str) -> str:
    return path.format(id=12, patient_id=7, record_id=12, prescription_id=41)


async def ask(gateway: Gateway, verb: str, path: str, operation: Operation) -> Any:
    if operation.body:
        return await gateway.post(filled(path), NEW_RECORD if "records" in path else NEW_PRESCRIPTION, verb)
    return await gateway.request(verb, filled(path))


def test_the_routes_are_those_of_the_design() -> None:
    """None is missing, none came in by itself (a static folder, say)."""
    assert {(verb, path) for verb, path, _ in ROUTES} == WANTED


@pytest.mark.parametrize(("verb", "path", "operation"), ROUTES, ids=lambda item: str(item)[:50])
def test_each_route_has_an_auth_rule(verb: str, path: str, operation: Operation) -> None:
    """What says something of a patient needs a principal; what does not needs none."""
    patients = "records" in path or "prescriptions" in path
    assert operation.access is (Access.CLINIC if patients else Access.ANYONE)
    assert (principal_of(operation.access) is not None) == patients


@pytest.mark.parametrize(("verb", "path", "operation"), CALLING, ids=lambda item: str(item)[:50])
async def test_each_failure_of_a_service_gives_a_documented_status(verb: str, path: str, operation: Operation) -> None:
    """A client that handles what the document names handles everything."""
    documented, gateway = API["paths"][path][verb.lower()]["responses"].keys(), Gateway()
    for error in (error for error in failures() if possible(error, operation)):
        gateway.records.fails(error)
        gateway.prescriptions.fails(error)
        answer = await ask(gateway, verb, path, operation)
        assert answer.status in NOT_YET or str(answer.status) in documented, error


@pytest.mark.parametrize(("verb", "path", "operation"), ROUTES, ids=lambda item: str(item)[:50])
async def test_each_refusal_of_the_gateway_gives_a_documented_status(
    verb: str, path: str, operation: Operation
) -> None:
    """What never reaches a service is documented too."""
    documented = API["paths"][path][verb.lower()]["responses"].keys()
    target, gateway = filled(path), Gateway()
    answers = [
        await ask(gateway, verb, path, operation),
        await gateway.request(verb, f"{target}?unknown=1"),
        await gateway.request(verb, target, headers={"Host": "evil.example"}),
        await gateway.request(verb, target, headers=[("X-A", "b" * 40_000)]),
        await gateway.request(verb, f"{target}?{'a' * 9000}"),
        await gateway.request(verb, target, headers={"Content-Length": "9999999"}),
        await gateway.request(verb, target, b"{", JSON),
        await gateway.request(verb, target, b"{", {"Content-Type": "text/plain"}),
    ]
    assert {str(answer.status) for answer in answers} <= documented
    assert answers[0].status == operation.success
    assert {answer.status for answer in answers[1:6]} == {400, 413, 414, 421, 431}


@pytest.mark.parametrize(("verb", "path", "operation"), CALLING, ids=lambda item: str(item)[:50])
async def test_each_call_has_a_deadline(verb: str, path: str, operation: Operation) -> None:
    """The mesh is told how long the client waits, and a service that ignores it is cut off."""
    gateway = Gateway(settings=GatewaySettings(request_timeout=1.5))
    await ask(gateway, verb, path, operation)
    assert 1.0 < gateway.asked[0].timeout <= 1.5


@pytest.mark.parametrize(("verb", "path", "operation"), ROUTES, ids=lambda item: str(item)[:50])
async def test_each_documented_failure_is_one_that_the_tables_know(verb: str, path: str, operation: Operation) -> None:
    """Nothing is promised that cannot come."""
    known = {kind.status for kind in vars(problems).values() if isinstance(kind, problems.Kind)}
    statuses = {kind.status for kind in operation.problems()}
    assert statuses <= known - NOT_YET
    assert operation.upstream == (504 in statuses)


TOLD = {"etag", "location", "idempotency-key", "request-id", "cache-status", "server-timing"}


@pytest.mark.parametrize(("verb", "path", "operation"), ROUTES, ids=lambda item: str(item)[:50])
async def test_an_answers_headers_are_those_of_the_document(verb: str, path: str, operation: Operation) -> None:
    """ETag, Cache-Status, Server-Timing and the like are where the document says so and nowhere else; so is 304."""
    told, gateway = API["paths"][path][verb.lower()], Gateway()
    answer = await ask(gateway, verb, path, operation)
    documented = told["responses"][str(answer.status)]["headers"]
    assert {name.lower() for name in documented} - {"age"} == answer.headers.keys() & TOLD  # nothing is kept here
    again = await gateway.request(verb, filled(path), headers={"If-None-Match": answer.headers.get("etag", '"x"')})
    assert (again.status == 304) == ("304" in told["responses"])
    if again.status == 304:
        documented = told["responses"]["304"]["headers"]
        assert {name.lower() for name in documented} - {"age"} == again.headers.keys() & TOLD
    taken = {one["name"] for one in told["parameters"] if one["in"] == "header"}
    assert taken >= {operation.condition, "Request-Id", "Request-Timeout"} - {""}
    assert ("Idempotency-Key" in taken) == operation.write
    assert ("Cache-Control" in taken) == ("cache-status" in answer.headers)


async def test_a_gateway_that_is_told_to_end_lets_go_of_what_it_waits_for() -> None:
    """Cancelled by the server at its end, a request is answered, not dropped."""
    gateway = Gateway()
    gateway.records.stuck = True
    asking = asyncio.create_task(gateway.request("GET", "/records/7"))
    await until(lambda: gateway.asked)
    asking.cancel()
    answer = await asking
    assert (answer.status, answer.headers["connection"]) == (503, "close")
    assert "the gateway ends" in answer.headers["proxy-status"]
