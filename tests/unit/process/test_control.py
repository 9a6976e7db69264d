"""The control port answers whoever has the token, on this machine alone, and nothing sent to it ends a process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest

from process.control import AT_ONCE, BODY, Arguments, ControlPort, Refused

TOKEN = "a-token-that-is-long-enough"
BEARER = f"Authorization: Bearer {TOKEN}\r\n"


async def echo(asked: Arguments) -> Any:
    if asked.get("word") == "no":
        raise Refused(HTTPStatus.CONFLICT, "not this word; another")
    if asked.get("word") == "bug":
        raise ValueError("the inside")
    if asked.get("word") == "unwritable":
        return object()
    return dict(asked)


async def numbers(_: Arguments) -> str:
    return "calls 7\n"


@asynccontextmanager
async def opened() -> AsyncIterator[ControlPort]:
    control = ControlPort(0, TOKEN)
    control.on("GET", "/echo", echo)
    control.on("PUT", "/echo", echo)
    control.on("GET", "/numbers", numbers, public=True)
    async with control:
        yield control


async def raw(control: ControlPort, request: bytes) -> bytes:
    host, _, port = control.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    try:
        async with asyncio.timeout(10):
            return await rest(reader)
    finally:
        writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def ask(
    control: ControlPort, line: str, body: bytes = b"", headers: str = BEARER, host: str = "127.0.0.1:1"
) -> tuple[int, Any]:
    head = f"{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    answer, _, told = (await raw(control, head.encode() + body)).partition(b"\r\n\r\n")
    kind = json.loads if b"application/json" in answer else bytes.decode
    return int(answer.split()[1]), kind(told)


async def test_it_answers_what_was_hung_up_there_by_the_query_or_the_body() -> None:
    """One way of asking for whatever a process lets be asked."""
    async with opened() as control:
        assert await ask(control, "GET /echo?word=hello&empty=") == (200, {"word": "hello", "empty": ""})
        assert await ask(control, "PUT /echo", b'{"word": ["a", 1]}') == (200, {"word": ["a", 1]})
        assert await ask(control, "PUT /echo") == (200, {})


@pytest.mark.parametrize(
    "headers",
    ["", "Authorization: Bearer \r\n", f"Authorization: Basic {TOKEN}\r\n", f"Authorization: Bearer {TOKEN}x\r\n"],
)
async def test_without_the_token_nothing_is_told_but_what_is_public(headers: str) -> None:
    """Every user of the machine reaches loopback. What there is is no stranger's business either."""
    async with opened() as control:
        assert (await ask(control, "GET /echo", headers=headers))[0] == 401
        assert (await ask(control, "GET /nothing", headers=headers))[0] == 401
        assert await ask(control, "GET /numbers", headers=headers) == (200, "calls 7\n")


async def test_a_page_in_a_browser_cannot_ask_under_a_name_of_its_own() -> None:
    """DNS rebinding; what is public would be read by any web page."""
    async with opened() as control:
        assert (await ask(control, "GET /numbers", host="evil.example"))[0] == 421
        assert (await ask(control, "GET /numbers", host="localhost"))[0] == 200


async def test_without_a_token_there_is_no_port() -> None:
    """A process that nobody set up for it must not be steerable by everybody."""
    async with ControlPort(0, "") as control:
        assert control.address == ""


@pytest.mark.parametrize(
    ("line", "body", "status", "told"),
    [
        ("GET /nothing", b"", 404, "there is GET /echo, PUT /echo, GET /numbers"),
        ("POST /echo", b"", 405, "there is GET /echo"),
        ("GET /echo?word=no", b"", 409, "not this word; another"),
        ("PUT /echo", b"[1]", 400, "a JSON object"),
        ("PUT /echo", b"{", 400, "a JSON object"),
        ("PUT /echo", b" " * (BODY + 1), 413, f"at most {BODY} bytes"),
        ("GET /echo?word=bug", b"", 500, "the log"),
        ("GET /echo?word=unwritable", b"", 500, "the log"),
    ],
)
async def test_what_is_not_done_says_why(line: str, body: bytes, status: int, told: str) -> None:
    """Whoever asks is a person with a shell or a command of ours; both need the remedy."""
    async with opened() as control:
        answered = await ask(control, line, body)
        assert answered[0] == status
        assert told in answered[1]["error"]
        assert "inside" not in answered[1]["error"]


async def test_what_is_no_request_harms_nobody() -> None:
    """Anything on this machine may connect and send anything."""
    async with opened() as control:
        assert b" 400 " in (await raw(control, b"\x16\x03\x01\r\n\r\n"))
        assert b" 400 " in (await raw(control, b"GET /" + b"a" * 20_000))
        host, _, port = control.address.rpartition(":")
        _, gone = await asyncio.open_connection(host, int(port))
        gone.transport.abort()
        assert (await ask(control, "GET /numbers"))[0] == 200


async def test_only_so_many_connections_are_held_and_leaving_ends_them() -> None:
    """A process that ends waits for nobody who only sits there."""
    async with opened() as control:
        host, _, port = control.address.rpartition(":")
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(AT_ONCE)]
        assert await raw(control, b"GET /numbers HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") == b""
    for reader, writer in idle:
        async with asyncio.timeout(10):
            assert await rest(reader) == b""
        writer.close()


async def test_a_taken_port_is_told_with_its_remedy() -> None:
    """It is the first thing that goes wrong when two processes are started by hand."""
    async with opened() as control:
        port = int(control.address.rpartition(":")[2])
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port} for control .* choose a free port"):
            await ControlPort(port, TOKEN).__aenter__()
