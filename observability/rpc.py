"""Spans of gRPC calls, made from the mesh's events: one for each attempt, one for each call that is handled."""

from collections.abc import Callable
from typing import Any

from opentelemetry import context
from opentelemetry.trace import Span, get_current_span

from mesh.events import (
    AttemptEnded,
    AttemptStarted,
    BreakerChanged,
    Event,
    NobodyToAsk,
    NotRetried,
    Retried,
    ServerEnded,
    ServerStarted,
)
from observability.tracing import Tracing, failed

# What the mesh says to itself each second would drown what people ask about.
_HOUSEKEEPING = ("/grpc.health.v1.", "/mesh.registry.")
# The statuses for which the server, not the caller, is to blame: semantic conventions for gRPC spans.
_SERVER_FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}


class RpcSpans:
    """A listener of `mesh.events`. A span lives from an event that starts something to the one that ends it."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._attempts: dict[AttemptStarted, Span] = {}
        self._served: dict[ServerStarted, tuple[Span, Any]] = {}
        self._told: dict[type[Event], Callable[[Any], None]] = {
            AttemptStarted: self._attempt_started,
            AttemptEnded: self._attempt_ended,
            ServerStarted: self._server_started,
            ServerEnded: self._server_ended,
            Retried: _on_span("retried", "number", "outcome", "delay", "budget"),
            NotRetried: _on_span("not retried", "number", "outcome", "reason", "budget"),
            NobodyToAsk: _on_span("nobody to ask", "known", "reason"),
            BreakerChanged: _on_span("breaker changed", "service", "endpoint", "before", "after", "reason"),
        }

    def __call__(self, event: Event) -> None:
        tell = self._told.get(type(event))
        if tell:
            tell(event)

    def _attempt_started(self, event: AttemptStarted) -> None:
        if event.method.startswith(_HOUSEKEEPING):
            return
        host, _, port = event.endpoint.rpartition(":")
        carrier: dict[str, str] = {}
        self._attempts[event] = self._tracing.call(
            event.method.lstrip("/"),
            carrier,
            {
                "rpc.system.name": "grpc",
                "rpc.method": event.method.lstrip("/"),
                "server.address": host.strip("[]"),
                "server.port": int(port) if port.isdecimal() else 0,
                "previous-rpc-attempts": event.number - 1,
                "transparent-retry": False,
            },
        )
        event.metadata.update(carrier)

    def _attempt_ended(self, event: AttemptEnded) -> None:
        span = self._attempts.pop(event.started, None)
        if span is None:
            return
        status = "OK" if event.outcome == "ok" else event.outcome.removeprefix("status_").upper()
        if event.outcome == "ok" or event.outcome.startswith("status_"):
            span.set_attribute("rpc.response.status_code", status)
        if event.outcome == "cancelled":
            span.set_attribute("rpc.response.status_code", "CANCELLED")
        if event.outcome != "ok":
            failed(span, status if event.outcome.startswith("status_") else event.outcome)
        span.end()

    def _server_started(self, event: ServerStarted) -> None:
        if event.method.startswith(_HOUSEKEEPING):
            return
        method = event.method.lstrip("/")
        attributes = {"rpc.system.name": "grpc", "rpc.method": method}
        span, inside = self._tracing.serve(method, event.metadata, attributes)
        self._served[event] = span, context.attach(inside)

    def _server_ended(self, event: ServerEnded) -> None:
        span, token = self._served.pop(event.started, (None, None))
        if span is None or token is None:
            return
        context.detach(token)
        span.set_attribute("rpc.response.status_code", event.status)
        if event.code:
            span.set_attribute("caremesh.code", event.code)
        if event.failure:
            span.add_event("exception", _exception(event.failure))
        if event.status in _SERVER_FAULTS:
            failed(span, event.status)
        span.end()


def _on_span(name: str, *fields: str) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        span = get_current_span()
        if span.is_recording():
            span.add_event(name, {field: getattr(event, field) for field in fields})

    return tell


def _exception(failure: str) -> dict[str, str | int]:
    """`mesh.events.whence` gives "ValueError at service.py:12"; the conventions want its parts."""
    kind, _, place = failure.partition(" at ")
    file, _, line = place.rpartition(":")
    return {"exception.type": kind, "code.file.path": file, "code.line.number": int(line) if line else 0}
