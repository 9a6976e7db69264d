"""The control port: what whoever runs a process may ask it and change in it while it runs.

It listens on loopback only and answers those who bring the token, one JSON answer a connection.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

import h11

HOST = "127.0.0.1"
PATIENCE = 5.0  # seconds for a request to arrive and for its answer to be taken
HEAD, BODY = 16 * 1024, 64 * 1024  # bytes
AT_ONCE = 16  # connections
# A page in a browser of this machine can make a name of its own point here (DNS rebinding).
NAMES = frozenset({"127.0.0.1", "localhost"})

log = logging.getLogger(__name__)

Arguments = Mapping[str, Any]
"""Of the query of a GET; else the JSON object that is the body."""
Handler = Callable[[Arguments], Awaitable[Any]]
"""Gives what is answered, as JSON; a str is answered as plain text. Raises Refused for what it does not do."""


class Refused(Exception):
    """What was asked is not done; the text says why, and what to ask instead."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True, slots=True)
class _Route:
    handler: Handler
    public: bool


class _Request(NamedTuple):
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class _Answer(NamedTuple):
    status: HTTPStatus
    kind: str
    body: bytes


class ControlPort:
    """Listens while entered; without a token it does not, and nobody can ask anything.

    Args:
        port: on 127.0.0.1; 0 takes a free one.
        token: what a request must bring as `Authorization: Bearer <token>`.
    """

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._routes: dict[str, dict[str, _Route]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def on(self, method: str, path: str, handler: Handler, *, public: bool = False) -> None:
        """What answers a method at a path; what is public needs no token."""
        self._routes.setdefault(path, {})[method] = _Route(handler, public)

    @property
    def address(self) -> str:
        """Where it listens, "127.0.0.1:port"; "" when it does not."""
        return f"{HOST}:{self._server.sockets[0].getsockname()[1]}" if self._server else ""

    async def __aenter__(self) -> Self:
        """Raises OSError when the port cannot be had."""
        if self._token:
            try:
                self._server = await asyncio.start_server(self._connected, HOST, self._port)
            except OSError as error:
                told = f"cannot listen on {HOST}:{self._port} for control ({error.strerror}); choose a free port"
                raise OSError(error.errno, told) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= AT_ONCE:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._answer(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD)
        try:
            answer = await self._answered(connection, reader)
            async with asyncio.timeout(PATIENCE):
                writer.write(_bytes(connection, answer))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, h11.LocalProtocolError):
            pass  # it has gone, or is too slow
        finally:
            writer.transport.abort()

    async def _answered(self, connection: h11.Connection, reader: asyncio.StreamReader) -> _Answer:
        try:
            async with asyncio.timeout(PATIENCE):
                request = await _read(connection, reader)
            return await self._done(request)
        except Refused as refused:
            return _no(refused.status, refused.text)
        except h11.RemoteProtocolError:
            return _no(HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1 as RFC 9112 has it")

    async def _done(self, request: _Request) -> _Answer:
        route = self._route(request)
        try:
            return _answer(HTTPStatus.OK, await route.handler(_arguments(request)))
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001  # a defect of one answer must not end the process
            log.error("%s %s of the control port failed: %s", request.method, _path(request), error)  # noqa: TRY400
            return _no(HTTPStatus.INTERNAL_SERVER_ERROR, "it failed here; the log of the process says where")

    def _route(self, request: _Request) -> _Route:
        host = request.headers.get("host", "").rpartition(":")
        if (host[0] or host[2]) not in NAMES:
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST, f"ask it as {HOST}")
        routes = self._routes.get(_path(request), {})
        route = routes.get(request.method)
        if not (route and route.public) and not self._knows(request):
            raise Refused(HTTPStatus.UNAUTHORIZED, "bring the token as `Authorization: Bearer <token>`")
        if route is None:
            there = ", ".join(f"{method} {path}" for path, of in self._routes.items() for method in of)
            status = HTTPStatus.METHOD_NOT_ALLOWED if routes else HTTPStatus.NOT_FOUND
            raise Refused(status, f"there is no such thing here; there is {there or 'nothing'}")
        return route

    def _knows(self, request: _Request) -> bool:
        given = request.headers.get("authorization", "")
        return compare_digest(given.encode(), f"Bearer {self._token}".encode())


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> _Request:
    head, body = None, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(HEAD))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > BODY:
                raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body may have at most {BODY} bytes")
        elif isinstance(event, h11.EndOfMessage) and head:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
            return _Request(head.method.decode("latin-1"), head.target.decode("latin-1"), headers, body)
        else:
            raise ConnectionResetError


def _arguments(request: _Request) -> Arguments:
    if request.method == "GET":
        return dict(parse_qsl(urlsplit(request.target).query, keep_blank_values=True))
    try:
        found = json.loads(request.body or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return found


def _path(request: _Request) -> str:
    return urlsplit(request.target).path


def _answer(status: HTTPStatus, value: Any) -> _Answer:
    if isinstance(value, str):
        return _Answer(status, "text/plain; charset=utf-8", value.encode())
    return _Answer(status, "application/json", f"{json.dumps(value, ensure_ascii=False)}\n".encode())


def _no(status: HTTPStatus, why: str) -> _Answer:
    return _answer(status, {"error": why})


def _bytes(connection: h11.Connection, answer: _Answer) -> bytes:
    headers = [("Content-Type", answer.kind), ("Content-Length", str(len(answer.body))), ("Connection", "close")]
    events = (
        h11.Response(status_code=answer.status, headers=[*headers, ("Cache-Control", "no-store")]),
        h11.Data(data=answer.body),
        h11.EndOfMessage(),
    )
    return b"".join(connection.send(event) or b"" for event in events)
