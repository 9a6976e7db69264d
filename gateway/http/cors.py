"""Lets pages of named origins use the API. Without names it is not there at all.

Source: the Fetch standard, CORS protocol.
"""

from collections.abc import Iterable

from gateway.http.edge import App, Message, Receive, Scope, Send

METHODS = b"GET, HEAD, POST, PUT, DELETE"
TAKEN = (
    b"Cache-Control, Content-Type, Idempotency-Key, If-Match, If-None-Match, Request-Id, Request-Timeout, "
    b"traceparent, tracestate"
)
SHOWN = b"Age, Cache-Status, Location, ETag, Idempotency-Key, Request-Id, Retry-After, Proxy-Status, Allow"
REMEMBERED = b"600"  # seconds for which a browser need not ask again


class Cors:
    """Answers preflights and names the origin that may read an answer."""

    def __init__(self, app: App, origins: Iterable[str]) -> None:
        self._app, self._origins = app, frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        origin = headers.get(b"origin")
        if scope["type"] != "http" or origin not in self._origins or origin is None:
            await self._app(scope, receive, self._varying(send))
        elif scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _preflight(origin, send)
        else:
            await self._app(scope, receive, self._allowing(send, origin))

    def _varying(self, send: Send) -> Send:
        return _adding(send, [(b"vary", b"Origin")])

    def _allowing(self, send: Send, origin: bytes) -> Send:
        allowed = [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", SHOWN)]
        return _adding(send, [(b"vary", b"Origin"), *allowed])


async def _preflight(origin: bytes, send: Send) -> None:
    headers = [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", TAKEN),
        (b"access-control-max-age", REMEMBERED),
        (b"vary", b"Origin"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _adding(send: Send, extra: list[tuple[bytes, bytes]]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return sending
