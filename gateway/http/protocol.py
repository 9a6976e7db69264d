"""uvicorn's HTTP protocol with what it leaves open: deadlines, caps, and its own refusals as problems."""

import asyncio
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.http import problems as kinds
from gateway.http.edge import Receive, Scope, Send, request_id, stamped
from gateway.http.exchange import Exchange
from gateway.http.limits import HEADER_DEADLINE, HEADERS, LEFTOVER_DEADLINE, TARGET
from gateway.http.problems import MEDIA_TYPE, FieldError, Kind, Problem, invalid
from observability.logs import log_request


class Protocol(HttpToolsProtocol):
    """One connection. It is closed when the headers of its next request are not there in time."""

    cap = 500
    """Connections; those above it are answered 503 and closed, and twice as many are not even answered."""
    stop: asyncio.Event
    """Once it is set, each connection ends with its next answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head = 0  # bytes of a request whose headers are not complete
        self._in_headers, self._in_body = False, False
        self._timer: asyncio.TimerHandle | None = None
        if len(self.connections) > 2 * self.cap:
            transport.abort()
            return
        if len(self.connections) > self.cap:
            self.app = _crowded
        self._arm(HEADER_DEADLINE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            self._head += len(data)
            if self._timer is None:  # bytes that begin no request must not keep a connection open
                self._arm(HEADER_DEADLINE)
        super().data_received(data)
        if self._in_headers and self._head > HEADERS + TARGET and not self.transport.is_closing():
            self._refuse(Problem(kinds.TARGET_TOO_LONG if len(self.url) > TARGET else kinds.HEADERS_TOO_LARGE))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._arm(HEADER_DEADLINE)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # trailers are not headers: nothing here reads them
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._disarm()
        self._in_headers, self._in_body, self._head = False, True, 0
        super().on_headers_complete()
        if self.stop.is_set() and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._in_body = False
        self._disarm()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body:
            self._arm(LEFTOVER_DEADLINE)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn says little in it
        self._refuse(invalid(FieldError("request", "must be HTTP/1.1 as RFC 9112 has it")))

    def _unsupported_upgrade_warning(self) -> None:
        """No upgrade is offered; the request is answered as HTTP/1.1, which RFC 9110 lets a server do."""

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        if self._in_headers:
            self._refuse(Problem(kinds.TIMEOUT))
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answers without the app and closes. An answer that has begun is cut off instead, never mixed."""
        if self.cycle is None or self.cycle.response_complete:
            exchange = _exchange(self.headers or ())
            self.transport.write(_whole(problem, exchange, self.server_state.default_headers))
            # What stood where the method belongs is a client's text.
            log_request("_OTHER", "", problem.kind.status, 0.0, exchange.request_id)
        self.transport.close()


def limited(cap: int, stop: asyncio.Event) -> type[Protocol]:
    """The protocol for at most `cap` connections, which end with their next answer once `stop` is set."""
    return type("LimitedProtocol", (Protocol,), {"cap": cap, "stop": stop})


def _exchange(headers: Iterable[tuple[bytes, bytes]]) -> Exchange:
    """Of a request that the edge does not see."""
    return Exchange(request_id(headers), trace_id="", started=0.0, longest=0.0)


def _whole(problem: Problem, exchange: Exchange, default: list[tuple[bytes, bytes]]) -> bytes:
    body = problem.body(exchange)
    headers = [*default, *_headers(problem.kind, body), (b"connection", b"close")]
    lines = [b"%s: %s\r\n" % pair for pair in stamped(headers, exchange)]
    return b"".join([STATUS_LINE[problem.kind.status], *lines, b"\r\n", body])


def _headers(kind: Kind, body: bytes) -> list[tuple[bytes, bytes]]:
    retry = [(b"retry-after", b"1")] if kind is kinds.OVERLOADED else []
    return [*retry, (b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]


async def _crowded(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  # an ASGI application
    problem, exchange = Problem(kinds.OVERLOADED), _exchange(scope["headers"])
    body = problem.body(exchange)
    headers: Any = stamped([*_headers(problem.kind, body), (b"connection", b"close")], exchange)
    await send({"type": "http.response.start", "status": problem.kind.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
