"""Traces: one tracer a process, and the spans that calls make.

Names and attributes are those of OpenTelemetry's semantic conventions for HTTP, RPC and databases (1.4x);
`previous-rpc-attempts` and `transparent-retry` are gRFC A72's.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from observability.current import W3C, carrying, current_tracer, trace_id
from observability.sql import trace_sql

__all__ = ["Tracing", "current_tracer", "failed", "trace_id", "trace_sql"]


class Tracing:
    """Makes spans, and hands them to `exporter`.

    Without an exporter no span is recorded, but every request still has a valid trace id of its own.
    """

    def __init__(self, service: str, process: str, exporter: SpanProcessor | None = None) -> None:
        resource = Resource.create(
            {"service.name": service, "service.namespace": "caremesh", "service.instance.id": process}
        )
        sampler = DEFAULT_ON if exporter else ALWAYS_OFF
        # Ends in observability.setup, in bounded time; the provider's own hook at exit is not.
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        if exporter:
            self._provider.add_span_processor(exporter)
        self._tracer = self._provider.get_tracer("caremesh")

    def serve(self, name: str, carrier: Mapping[str, Any], attributes: Mapping[str, Any]) -> tuple[Span, Context]:
        """A server span whose parent is what the carrier's `traceparent` names, and the context to work in."""
        # The parent alone: tracestate is any text that a caller likes, and spans would hold and export it.
        parent = W3C.extract({"traceparent": carrier.get("traceparent", "")}, Context())
        span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes, record_exception=False)
        return span, carrying(self._tracer, set_span_in_context(span, parent))

    @contextmanager
    def resumed(self, name: str, traceparent: str, attributes: Mapping[str, Any]) -> Iterator[Span]:
        """A span, for the length of the block, of work that goes on after the request that `traceparent` names."""
        parent = W3C.extract({"traceparent": traceparent}, Context())
        span = self._tracer.start_span(name, parent, SpanKind.CONSUMER, attributes, record_exception=False)
        token = context.attach(carrying(self._tracer, set_span_in_context(span, parent)))
        try:
            yield span
        finally:
            context.detach(token)
            span.end()

    def call(self, name: str, carrier: dict[str, str], attributes: Mapping[str, Any]) -> Span:
        """A client span below the present one; the carrier gets the `traceparent` that the far side continues."""
        span = self._tracer.start_span(name, context.get_current(), SpanKind.CLIENT, attributes, record_exception=False)
        W3C.inject(carrier, set_span_in_context(span))
        return span


def failed(span: Span, error_type: str) -> None:
    """Marks a span as failed, by a word out of a small set: never by a text."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))
