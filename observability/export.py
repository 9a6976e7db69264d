"""Delivers spans to a collector over OTLP/HTTP, from a thread of its own: nothing else ever waits for it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

log = logging.getLogger(__name__)

QUEUE = 2048  # spans; some 2 MB
BATCH = 512  # spans a message
PERIOD = 1.0  # seconds between deliveries, unless a batch is full
TIMEOUT = 2.0  # seconds for one delivery
COMPLAINT = 60.0  # seconds between two lines that say it does not work
FLUSH = 0.5  # seconds at the end for what is queued
ABANDON = 0.3  # seconds more for a delivery that is cut off


def otlp_exporter(endpoint: str) -> SpanExporter:
    """OTLP over HTTP with protobuf bodies, to `<endpoint>/v1/traces`, as OTEL_EXPORTER_OTLP_ENDPOINT means it."""
    # Only a process that exports pays for loading it.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=TIMEOUT)


class Delivery(SpanProcessor):
    """A bounded queue of ended spans and the thread that delivers them.

    When the collector is away, spans are counted and dropped, and a line a minute tells so.

    Attributes:
        dropped: spans lost so far, because the queue was full or a delivery failed.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        endpoint: str,
        *,
        queue: int = QUEUE,
        period: float = PERIOD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dropped = 0
        self._exporter, self._address = exporter, bare(endpoint)
        self._limit, self._period, self._clock = queue, period, clock
        self._queue: deque[ReadableSpan] = deque()
        self._complained, self._reached = -COMPLAINT, True
        self._wake, self._stopping, self._abandoned = threading.Event(), False, False
        self._thread = threading.Thread(target=self._deliver, name="span-delivery", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Queues a span; never blocks."""
        if not span.context or not span.context.trace_flags.sampled:
            return
        if self._stopping or len(self._queue) >= self._limit:
            self.dropped += 1
            return
        self._queue.append(span)
        if len(self._queue) >= BATCH:
            self._wake.set()

    def shutdown(self) -> None:
        """Delivers what is queued, for at most FLUSH + ABANDON seconds; one who was away is not tried again."""
        if self._stopping:
            return
        self._stopping = True
        self._wake.set()
        if self._reached:
            self._thread.join(FLUSH)
        self._abandoned = True
        self._exporter.shutdown()  # wakes a delivery that waits to try again
        self._thread.join(ABANDON)
        left = self.dropped + len(self._queue)
        if left:
            log.warning("%d spans were never delivered to %s", left, self._address)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Waits until the queue is empty. For tests; false when the time is over first."""
        end = time.monotonic() + timeout_millis / 1000
        while self._queue and time.monotonic() < end:
            self._wake.set()
            time.sleep(0.005)
        return not self._queue

    def _deliver(self) -> None:
        while not self._stopping:
            self._wake.wait(self._period)
            self._wake.clear()
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._queue and not self._abandoned:
            # They leave the queue only afterwards, so that an empty queue means: all delivered or dropped.
            batch = [self._queue[index] for index in range(min(BATCH, len(self._queue)))]
            self._reached = self._delivered(batch)
            for _ in batch:
                self._queue.popleft()
            if not self._reached:
                self.dropped += len(batch)
                self._complain()

    def _delivered(self, batch: list[ReadableSpan]) -> bool:
        try:
            return self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:  # noqa: BLE001  # whatever it is, the thread must live on; _complain tells
            return False

    def _complain(self) -> None:
        if self._clock() - self._complained < COMPLAINT or self._stopping:
            return
        self._complained = self._clock()
        log.warning(
            "traces cannot be delivered to %s (%d spans dropped so far); "
            "start a collector there, or unset OTEL_EXPORTER_OTLP_ENDPOINT",
            self._address,
            self.dropped,
        )


def bare(endpoint: str) -> str:
    """An address without the user and password that it may hold."""
    try:
        parts = urlsplit(endpoint)
        return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "an address that is no URL"
