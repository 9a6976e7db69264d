"""The first layer that sees a request and the last that sees an answer, outside the framework.

It refuses what no route needs to see (cheaply: 35 µs where a handler costs 175), stamps what every answer
carries, catches what nobody caught, and has the one line logged that each request gets.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from gateway.http import problems as kinds
from gateway.http.cache_status import cache_headers
from gateway.http.exchange import KEY, Answered, Exchange
from gateway.http.limits import BODY, HEADERS, TARGET
from gateway.http.parameters import REQUEST_ID
from gateway.http.problems import MEDIA_TYPE, FieldError, Problem, invalid
from gateway.http.proxy_status import told
from gateway.http.server_timing import receipt
from mesh.clock import Clock
from mesh.events import Event, whence
from observability.logs import METHODS, PROBES, log_request
from observability.tracing import trace_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
CLIENT_GONE = 499  # for the log only: nobody is left to read an answer

log = logging.getLogger("gateway")


class Edge:
    """Around the whole application, inside the traces only.

    Args:
        tell: takes an event for each request that was answered.
        hosts: names under which the gateway may be asked, without port; another web page's name that was
            made to point at this machine is refused (DNS rebinding).
        longest: seconds that a request may take at the most.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Iterable[str],
        longest: float,
        clock: Clock,
        tell: Callable[[Event], None],
    ) -> None:
        self._app, self._clock, self._longest, self._tell = app, clock, longest, tell
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(request_id(scope["headers"]), trace_id(), self._clock.now(), self._longest)
        answer = _Answer(send, exchange, self._clock)
        try:
            await self._guarded(scope, receive, answer, exchange)
        finally:
            self._ended(scope["method"], exchange, answer.status or CLIENT_GONE)

    async def _guarded(self, scope: Scope, receive: Receive, answer: "_Answer", exchange: Exchange) -> None:
        try:
            self._check(scope)
            inner = {**scope, KEY: exchange, "path": _raw_path(scope)}
            await self._app(inner, answer.receiving(receive), answer.send)
            if not answer.gone:
                # The framework drops a handler that was cancelled from below without a word.
                await answer.refuse(_cut_off(exchange))
        except Problem as problem:
            await answer.refuse(problem)
        except asyncio.CancelledError:
            # Told by the server when it ends and waits no longer; it would log the rest with texts.
            await answer.refuse(_cut_off(exchange))
        except Exception as error:  # noqa: BLE001  # uvicorn would log its text
            log.error("a request failed: %s", whence(error), extra={"fields": {"request_id": exchange.request_id}})  # noqa: TRY400
            await answer.refuse(Problem(kinds.INTERNAL))

    def _ended(self, method: str, exchange: Exchange, status: int) -> None:
        seconds, request_id = self._clock.now() - exchange.started, exchange.request_id
        log_request(method, exchange.route, status, seconds, request_id, exchange.trace_id)
        if exchange.route not in PROBES:
            outcome = "failed" if status >= CLIENT_GONE else "ok"
            verb = method if method in METHODS else "_OTHER"  # any other word is a client's text
            self._tell(Answered(request_id, verb, exchange.route, status, outcome, seconds))

    def _check(self, scope: Scope) -> None:
        """Raises Problem for what no route needs to see."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if sum(len(name) + len(value) + 4 for name, value in headers) > HEADERS:
            raise Problem(kinds.HEADERS_TOO_LARGE)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > TARGET:
            raise Problem(kinds.TARGET_TOO_LONG)
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1:
            raise invalid(FieldError("Host", "must be given once"))
        if _without_port(hosts[0].decode("latin-1")).lower() not in self._hosts:
            raise Problem(kinds.MISDIRECTED)
        lengths = [value for name, value in headers if name == b"content-length"]
        if any(length.isdigit() and int(length) > BODY for length in lengths):
            raise Problem(kinds.TOO_LARGE)
        if not _raw_path(scope).startswith("/") or _raw_path(scope).startswith("//"):
            raise Problem(kinds.NOT_FOUND)


def _cut_off(exchange: Exchange) -> Problem:
    """The answer to a request whose work was ended before it had one: of a write, nobody knows what became."""
    why = told("proxy_internal_error", "cut off, since the gateway ends")
    headers = {"Connection": "close", "Proxy-Status": why}
    if exchange.key:
        return Problem(kinds.UNKNOWN_OUTCOME, headers=headers)
    return Problem(kinds.UNAVAILABLE, headers={**headers, "Retry-After": "1"})


class _Answer:
    """Stamps an answer, and knows whether one has begun and whether anybody waits for it."""

    def __init__(self, send: Send, exchange: Exchange, clock: Clock) -> None:
        self._send, self._exchange, self._clock = send, exchange, clock
        self.status = 0
        self.gone = False

    def receiving(self, receive: Receive) -> Receive:
        async def received() -> Message:
            message = await receive()
            self.gone = self.gone or message["type"] == "http.disconnect"
            return message

        return received

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = stamped(message["headers"], self._exchange)
            if timing := receipt(self._exchange, self._clock.now()):
                headers.append((b"server-timing", timing))
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, problem: Problem) -> None:
        """Answers with a problem, unless an answer has begun; then nothing can be mended."""
        if self.status:
            return
        body = problem.body(self._exchange)
        headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
        headers += [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
        await self.send({"type": "http.response.start", "status": problem.kind.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


def stamped(headers: Iterable[tuple[bytes, bytes]], exchange: Exchange) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with those that every answer has."""
    kept = [(name.lower(), value) for name, value in headers]
    if not any(name == b"cache-control" for name, _ in kept):
        kept.append((b"cache-control", b"no-store"))
    if exchange.key:
        kept.append((b"idempotency-key", exchange.key.encode()))
    if exchange.served:
        kept += cache_headers(exchange.served)
    return [*kept, (b"request-id", exchange.request_id.encode()), (b"x-content-type-options", b"nosniff")]


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's own id if it is well-formed and given once, else a new one."""
    given = [value.decode("latin-1") for name, value in headers if name == b"request-id"]
    return given[0] if len(given) == 1 and REQUEST_ID.fullmatch(given[0]) else secrets.token_hex(8)


def _raw_path(scope: Scope) -> str:
    """The path as it was sent: routes and ids are matched on it, so `%37` is no 7 and `%2F` no slash."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")


def _without_port(host: str) -> str:
    """Source: RFC 3986, host [":" port]; an IPv6 address keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and not name.endswith(":") else host
