"""The server span of an HTTP request, as an ASGI layer around the whole application."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from opentelemetry import context

from mesh.events import whence
from observability.logs import METHODS
from observability.tracing import Tracing, failed

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_ROUTE = context.create_key("caremesh.route")
# Not tracestate: it is any text that a caller likes, and spans would hold and export it.
_CARRIED = b"traceparent"


class Traced:
    """Wraps an ASGI application, outermost, so that what is refused early is traced too.

    The span is named by method and route template once `name_route` was called, by the method alone
    otherwise. Path, query, headers and addresses of clients never enter it.
    """

    def __init__(self, app: App, tracing: Tracing) -> None:
        self._app, self._tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(scope, self._tracing)
        token = context.attach(request.context)
        try:
            await self._app(scope, receive, request.watching(send))
        except BaseException as error:
            request.raised(error)
            raise
        finally:
            context.detach(token)
            request.end()


def name_route(template: str) -> None:
    """Names the present request's span by its route template, for example "/records/{id}"."""
    request = context.get_value(_ROUTE)
    if isinstance(request, _Request):
        request.name(template)


class _Request:
    def __init__(self, scope: Scope, tracing: Tracing) -> None:
        method = str(scope["method"])
        known = method if method in METHODS else "_OTHER"
        self._word = known if known != "_OTHER" else "HTTP"
        self._status: int | None = None
        attributes = {
            "http.request.method": known,
            "url.scheme": scope.get("scheme", "http"),
            "network.protocol.version": scope.get("http_version", "1.1"),
        }
        self._span, inside = tracing.serve(self._word, _carrier(scope["headers"]), attributes)
        self.context = context.set_value(_ROUTE, self, inside)

    def name(self, template: str) -> None:
        self._span.update_name(f"{self._word} {template}")
        self._span.set_attribute("http.route", template)

    def watching(self, send: Send) -> Send:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status = int(message["status"])
            await send(message)

        return watched

    def raised(self, error: BaseException) -> None:
        kind = type(error).__qualname__
        self._span.add_event("exception", {"exception.type": kind, "caremesh.whence": whence(error)})
        failed(self._span, kind)

    def end(self) -> None:
        if self._status is not None:
            self._span.set_attribute("http.response.status_code", self._status)
            # A 4xx is the client's fault and leaves a server's span unset, say the conventions.
            if self._status >= 500:  # noqa: PLR2004
                failed(self._span, str(self._status))
        self._span.end()


def _carrier(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found = [value.decode("latin-1") for name, value in headers if name == _CARRIED]
    # Two contradict each other, and neither counts: W3C Trace Context, 3.2.2.
    return {_CARRIED.decode(): found[0]} if len(found) == 1 else {}
