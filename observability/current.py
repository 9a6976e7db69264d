"""The trace that the present task belongs to."""

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import Tracer, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

W3C = TraceContextTextMapPropagator()
# The tracer travels in the context beside the span, so that what runs deep inside a request
# (an SQL listener) finds it there and no module needs a tracer of its own.
_TRACER = context.create_key("caremesh.tracer")


def carrying(tracer: Tracer, parent: Context) -> Context:
    """The same context, from which `current_tracer` finds the tracer."""
    return context.set_value(_TRACER, tracer, parent)


def current_tracer() -> Tracer | None:
    """The tracer of the request being handled; None outside one."""
    found = context.get_value(_TRACER)
    return found if isinstance(found, Tracer) else None


def trace_id() -> str:
    """The present trace's id, 32 hexadecimal digits; "" outside a trace. It is valid even when nothing is exported."""
    identity = get_current_span().get_span_context()
    return format_trace_id(identity.trace_id) if identity.is_valid else ""


def traceparent() -> str:
    """The present span as W3C's `traceparent`, for work that goes on after its request; "" outside a trace."""
    carrier: dict[str, str] = {}
    W3C.inject(carrier)
    return carrier.get("traceparent", "")
