"""Idempotency-Key: every write travels under one, and whoever is left in doubt is told which."""

import asyncio
import re
from typing import Any
from uuid import UUID

import pytest

from gateway.examples import NEW_PRESCRIPTION, NEW_RECORD
from mesh.errors import Lost, RemoteError
from mesh.status import Status
from tests.fakes.gateway import JSON, Answer, Gateway
from tests.fakes.waiting import until

WRITES = [
    ("POST", "/records"),
    ("PUT", "/records/12"),
    ("DELETE", "/records/12"),
    ("PUT", "/patients/7/records/12"),
    ("DELETE", "/patients/7/records/12"),
    ("POST", "/prescriptions"),
    ("PUT", "/prescriptions/12"),
    ("DELETE", "/patients/7/prescriptions/12"),
]


async def write(gateway: Gateway, verb: str, path: str, *keys: str) -> Answer:
    """A write with these lines of Idempotency-Key."""
    headers: Any = [("Idempotency-Key", key) for key in keys]
    if verb == "DELETE":
        return await gateway.request(verb, path, headers=headers)
    body = NEW_RECORD if "records" in path else NEW_PRESCRIPTION
    return await gateway.post(path, body, verb, [*JSON.items(), *headers])


@pytest.mark.parametrize(("verb", "path"), WRITES)
@pytest.mark.parametrize("key", ["k", '"quoted"', "!~", "x" * 255, "a,b;c=d"])
async def test_a_clients_key_travels_as_it_is_and_comes_back(verb: str, path: str, key: str) -> None:
    """As metadata, where the mesh sees that the call may be repeated and the service what it is a copy of."""
    gateway = Gateway()
    answer = await write(gateway, verb, path, key)
    assert answer.status in (200, 201, 204)
    assert answer.headers["idempotency-key"] == key
    assert [asked.metadata["idempotency-key"] for asked in gateway.asked] == [key]


@pytest.mark.parametrize(("verb", "path"), WRITES)
async def test_a_write_that_brings_no_key_is_given_a_new_one_and_told_of_it(verb: str, path: str) -> None:
    """So that the gateway's own repetitions are safe."""
    gateway = Gateway()
    answers = [await write(gateway, verb, path) for _ in range(2)]
    made = [asked.metadata["idempotency-key"] for asked in gateway.asked]
    assert [answer.headers["idempotency-key"] for answer in answers] == made
    assert len(set(made)) == 2
    assert [UUID(key).version for key in made] == [4, 4]


@pytest.mark.parametrize(("verb", "path"), WRITES)
@pytest.mark.parametrize("keys", [("",), ("a b",), ("ž",), ("x" * 256,), ("a\tb",), ("\x7f",), ("a", "a"), ("a", "b")])
async def test_a_malformed_key_is_400_and_writes_nothing(verb: str, path: str, keys: tuple[str, ...]) -> None:
    """Ignoring it would do twice what its sender meant to be done once."""
    gateway = Gateway()
    lines = [key.encode().decode("latin-1") for key in keys]
    answer = await write(gateway, verb, path, *lines)
    assert (answer.status, answer.fields, gateway.asked) == (400, ["Idempotency-Key"], [])
    assert "idempotency-key" not in answer.headers


async def test_a_read_has_no_key() -> None:
    """It may always be repeated; a key of a client's is of no use and no harm."""
    gateway = Gateway()
    answer = await gateway.request("GET", "/records/7", headers={"Idempotency-Key": "a b"})
    assert (answer.status, gateway.asked[0].metadata.keys()) == (200, {"principal", "request-id"})
    assert "idempotency-key" not in answer.headers


@pytest.mark.parametrize(("verb", "path"), WRITES)
@pytest.mark.parametrize("keys", [("mine",), ()])
async def test_a_504_says_which_key_to_repeat_it_with(verb: str, path: str, keys: tuple[str, ...]) -> None:
    """The client's own or the one that was made for it."""
    gateway = Gateway()
    gateway.records.fails(Lost(""))
    gateway.prescriptions.fails(Lost(""))
    answer = await write(gateway, verb, path, *keys)
    sent = gateway.asked[0].metadata["idempotency-key"]
    assert (answer.status, answer.json["type"]) == (504, "urn:caremesh:problem:outcome-unknown")
    assert answer.json["idempotency_key"] == answer.headers["idempotency-key"] == sent
    assert sent == (keys[0] if keys else sent)
    assert "`idempotency_key`" in answer.json["detail"]


async def test_a_late_read_speaks_of_no_key() -> None:
    """There is nothing in doubt."""
    gateway = Gateway()
    gateway.records.fails(Lost(""))
    answer = await gateway.request("GET", "/records/7")
    assert (answer.status, "idempotency_key" in answer.json) == (504, False)


async def test_a_write_that_is_cut_off_at_the_gateways_end_is_of_unknown_outcome() -> None:
    """It may have been done: "nothing was done" would be a lie."""
    gateway = Gateway()
    gateway.records.stuck = True
    asking = asyncio.create_task(write(gateway, "POST", "/records", "mine"))
    await until(lambda: gateway.asked)
    asking.cancel()
    answer = await asking
    assert (answer.status, answer.json["idempotency_key"], answer.headers["connection"]) == (504, "mine", "close")


@pytest.mark.parametrize(("verb", "path"), WRITES)
async def test_a_key_of_another_request_is_422_and_is_named(verb: str, path: str) -> None:
    """`errors` says what to change."""
    gateway = Gateway()
    error = RemoteError(Status.FAILED_PRECONDITION, "", code="KEY_REUSED")
    gateway.records.fails(error)
    gateway.prescriptions.fails(error)
    answer = await write(gateway, verb, path, "mine")
    assert (answer.status, answer.fields) == (422, ["Idempotency-Key"])


@pytest.mark.parametrize("path", ["/prescriptions/12", "/patients/7/prescriptions/12"])
async def test_an_illegal_step_names_the_legal_ones(path: str) -> None:
    """For people in `detail`, for programs in `legal_steps`."""
    gateway = Gateway()
    info = {"from": "draft", "legal": "active,cancelled"}
    text = "a prescription that is draft can become active, cancelled"
    gateway.prescriptions.fails(RemoteError(Status.FAILED_PRECONDITION, text, code="ILLEGAL_STEP", info=info))
    told = (await write(gateway, "PUT", path)).json
    assert (told["status"], told["detail"], told["legal_steps"]) == (409, text, ["active", "cancelled"])
    info["legal"] = ""
    assert (await write(gateway, "PUT", path)).json["legal_steps"] == []


async def test_pages_of_other_origins_may_send_and_see_these_headers() -> None:
    """Where origins are named at all."""
    gateway = Gateway(settings=Gateway().settings.model_copy(update={"cors_origins": "https://app.example"}))
    origin = {"Origin": "https://app.example"}
    asked = await gateway.request("OPTIONS", "/records", headers={**origin, "Access-Control-Request-Method": "POST"})
    taken = set(re.split(", ", asked.headers["access-control-allow-headers"]))
    assert {"Idempotency-Key", "If-Match", "If-None-Match"} <= taken
    answer = await gateway.request("GET", "/records/7", headers=origin)
    assert {"ETag", "Idempotency-Key"} <= set(answer.headers["access-control-expose-headers"].split(", "))


async def test_a_handler_that_is_cancelled_from_below_is_answered_as_what_it_is() -> None:
    """The framework drops it without a word, and the server would send a bare 500."""
    gateway = Gateway()
    gateway.records.fails(asyncio.CancelledError())
    written = await write(gateway, "POST", "/records")
    read = await gateway.request("GET", "/records/7")
    assert (written.status, read.status) == (504, 503)
    assert written.headers["content-type"] == read.headers["content-type"] == "application/problem+json"
