"""Reads that were answered before, answered again as the bytes that the framework made of them, without the framework.

The mesh says whether an answer is still the one that it keeps, and fresh: what a write made old is never given.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from gateway.auth import Access, principal_of
from gateway.http import conditions
from gateway.http.conditions import NONE_MATCH, Condition
from gateway.http.edge import App, Message, Receive, Scope, Send
from gateway.http.exchange import Exchange, exchange_of
from gateway.http.problems import FieldError
from mesh.cache.bounded import Bounded
from mesh.served import Kept
from observability.http import name_route

Headers = list[tuple[bytes, bytes]]
Target = tuple[str, str, bytes]
"""Who asks, the raw path, the raw query."""

OVERHEAD = 1500
"""Bytes that a page takes besides its body: headers, objects, slots of tables."""

READ_FIRST = frozenset(
    {b"cache-control", b"content-length", b"expect", b"if-match", b"request-timeout", b"transfer-encoding"}
)
"""What a request may say that the framework must look at."""

NOT_MODIFIED = frozenset({b"cache-control", b"etag"})
"""The headers of a 200 that its 304 has, too."""


class Page(NamedTuple):
    """An answer as the framework made it."""

    route: str
    headers: Headers
    tag: str
    body: bytes
    kept: Kept


class Ready:
    """An ASGI layer, inside the edge.

    Args:
        memory: bytes of pages that it keeps.
    """

    def __init__(self, app: App, memory: int) -> None:
        self._app = app
        self._pages: Bounded[Target, Page] = Bounded(memory, _size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            return await self._app(scope, receive, send)
        exchange, target = exchange_of(scope), _target(scope)
        page = self._pages.get(target)
        if page is not None and READ_FIRST.isdisjoint(name for name, _ in scope["headers"]):
            condition = _condition(scope["headers"])
            if not isinstance(condition, FieldError) and (served := page.kept.again(exchange.request_id)):
                exchange.route, exchange.served = page.route, served
                name_route(page.route)
                return await _answer(page, condition, send)
        return await self._app(scope, receive, _Seen(self._pages, target, exchange, send).send)


def _target(scope: Scope) -> Target:
    principal = principal_of(Access.CLINIC)
    return principal.subject if principal else "", scope["path"], scope["query_string"]


def _condition(headers: Iterable[tuple[bytes, bytes]]) -> Condition | FieldError | None:
    lines = [value.decode("latin-1") for name, value in headers if name == b"if-none-match"]
    return conditions.read(NONE_MATCH, lambda name: lines if name == NONE_MATCH else []) if lines else None


async def _answer(page: Page, condition: Condition | None, send: Send) -> None:
    known = condition is not None and condition.names(page.tag)
    headers = [pair for pair in page.headers if pair[0] in NOT_MODIFIED] if known else page.headers
    await send({"type": "http.response.start", "status": 304 if known else 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if known else page.body, "more_body": False})


class _Seen:
    """Sends an answer on, and keeps it where the mesh keeps what it was made of."""

    def __init__(self, pages: Bounded[Target, Page], target: Target, exchange: Exchange, send: Send) -> None:
        self._pages, self._target, self._exchange, self._send = pages, target, exchange, send
        self._start: Message | None = None
        self._body: list[bytes] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            served = self._exchange.served
            self._start = message if message["status"] == 200 and served and served.kept else None  # noqa: PLR2004
        elif self._start is not None:
            self._body.append(message.get("body", b""))
            if not message.get("more_body"):
                self._keep(self._start)
        await self._send(message)

    def _keep(self, start: Message) -> None:
        headers: Headers = [(name.lower(), value) for name, value in start["headers"]]
        tag = dict(headers).get(b"etag", b"").decode("latin-1")
        served: Any = self._exchange.served
        self._pages.put(self._target, Page(self._exchange.route, headers, tag, b"".join(self._body), served.kept))


def _size(target: Target, page: Page) -> int:
    return OVERHEAD + len(target[1]) + len(target[2]) + len(page.body)
