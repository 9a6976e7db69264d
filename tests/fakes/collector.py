"""A collector of traces: a real HTTP server that reads OTLP's protobuf, and can be slow, rude or silent."""

import gzip
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """A span as the collector got it. Ids are hexadecimal, times are in nanoseconds."""

    service: str
    process: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    failed: bool
    attributes: dict[str, Any]
    events: tuple[tuple[str, dict[str, Any]], ...]
    raw: str


class Collector:
    """Serves `/v1/traces` on a free port of 127.0.0.1 while entered.

    Attributes:
        status: what each delivery is answered with.
        requests: how many deliveries came.
        held: while set, deliveries are taken and get no answer.
    """

    def __init__(self) -> None:
        self.status, self.requests = 200, 0
        self.held = threading.Event()
        self._spans: list[SeenSpan] = []
        self._changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector._took(self)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.held.clear()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def spans(self) -> list[SeenSpan]:
        """All that came so far."""
        with self._changed:
            return list(self._spans)

    def wait_for(self, enough: Callable[[list[SeenSpan]], bool], seconds: float = 30) -> list[SeenSpan]:
        """The spans, once `enough` says so.

        Raises:
            AssertionError: the time is over; names what is there.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: enough(self._spans), seconds):
                raise AssertionError(f"only these spans came: {[(span.service, span.name) for span in self._spans]}")
            return list(self._spans)

    def wait_for_requests(self, number: int, seconds: float = 30) -> None:
        """Returns once so many deliveries have come, answered or not."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.requests >= number, seconds), f"{self.requests} deliveries came"

    def _took(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        with self._changed:
            self.requests += 1
            if self.status == 200 and not self.held.is_set():
                self._spans += read(body)
            self._changed.notify_all()
        while self.held.is_set():
            time.sleep(0.01)
        try:
            request.send_response(self.status if request.path == "/v1/traces" else 404)
            request.send_header("Content-Length", "0")
            request.end_headers()
        except OSError:
            return  # who asked has given up


def read(body: bytes) -> list[SeenSpan]:
    """The spans of one delivery."""
    groups = ExportTraceServiceRequest.FromString(body).resource_spans
    return [_seen(group.resource, span) for group in groups for scope in group.scope_spans for span in scope.spans]


def _seen(resource: Any, span: Any) -> SeenSpan:
    whose = _plain(resource.attributes)
    return SeenSpan(
        service=whose["service.name"],
        process=whose["service.instance.id"],
        name=span.name,
        kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes=_plain(span.attributes),
        events=tuple((event.name, _plain(event.attributes)) for event in span.events),
        raw=f"{resource}{span}",
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def nobody() -> str:
    """An address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
