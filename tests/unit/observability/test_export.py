"""Nothing waits for a collector, whatever state it is in."""

import io
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from mesh.events import Events
from observability import export
from observability.export import BATCH, Delivery, bare
from observability.setup import Observability, setup
from observability.tracing import Tracing
from tests.fakes.collector import Collector, nobody


class Counting(SpanExporter):
    """Fails or succeeds as told, and counts."""

    def __init__(self, *, works: bool) -> None:
        self.works, self.batches, self.ended = works, [0] * 0, 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.batches.append(len(spans))
        if not self.works:
            raise OSError("away")
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.ended += 1


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def watched(endpoint: str, stream: io.StringIO | None = None) -> Observability:
    return setup(process="p.1", service="p", events=Events(), otlp_endpoint=endpoint, stream=stream or io.StringIO())


def spans(tracing: Tracing, number: int) -> None:
    for index in range(number):
        tracing.serve(f"span {index}", {}, {})[0].end()


def test_a_span_reaches_the_collector_with_the_name_of_its_process(collector: Collector) -> None:
    with watched(collector.endpoint) as observed:
        spans(observed.tracing, 1)
    (span,) = collector.spans()
    assert (span.service, span.process, span.name, span.kind) == ("p", "p.1", "span 0", "server")


def test_what_is_queued_is_delivered_before_the_end_in_batches(collector: Collector) -> None:
    with watched(collector.endpoint) as observed:
        spans(observed.tracing, BATCH + 10)
    assert len(collector.spans()) == BATCH + 10
    assert collector.requests >= 2


def test_a_span_arrives_without_waiting_for_the_end(collector: Collector) -> None:
    with watched(collector.endpoint) as observed:
        spans(observed.tracing, 1)
        collector.wait_for(lambda seen: len(seen) == 1)


@pytest.mark.parametrize("state", ["away", "black hole", "refusing"])
def test_a_collector_that_does_not_work_stops_neither_start_nor_work_nor_end(state: str, collector: Collector) -> None:
    """Bounded by the two waits of `shutdown`, not by the collector: it may hold its answer for ever."""
    stream = io.StringIO()
    if state == "black hole":
        collector.held.set()
    if state == "refusing":
        collector.status = 503
    observed = watched(nobody() if state == "away" else collector.endpoint, stream)
    with observed:
        spans(observed.tracing, 3 * BATCH)
        if state != "away":
            collector.wait_for_requests(1)
    assert collector.spans() == []
    assert f"{3 * BATCH} spans were never delivered to http://127.0.0.1:" in stream.getvalue()


def test_the_end_waits_no_longer_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits are counted, not measured: an exporter that hangs for good cannot hold up the end."""
    waited: list[float | None] = []
    exporter = Counting(works=True)
    delivery = Delivery(exporter, "http://x", period=3600)
    join = delivery._thread.join

    def counted(timeout: float | None = None) -> None:
        waited.append(timeout)
        join(timeout)

    monkeypatch.setattr(delivery._thread, "join", counted)
    delivery.shutdown()
    assert sum(time for time in waited if time) <= 1.0
    assert None not in waited
    assert exporter.ended == 1


def test_the_queue_is_bounded_and_counts_what_it_drops() -> None:
    exporter = Counting(works=True)
    delivery = Delivery(exporter, "http://x", queue=10, period=3600)
    tracing = Tracing("s", "p", delivery)
    spans(tracing, 25)
    assert delivery.dropped == 15
    delivery.shutdown()
    assert exporter.batches == [10]


def test_a_collector_that_is_away_is_complained_about_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """With the address and the remedy, and without the exporter's own lines."""
    now = [1000.0]
    delivery = Delivery(Counting(works=False), "http://me:secret@collector:4318/x", period=3600, clock=lambda: now[0])
    tracing = Tracing("s", "p", delivery)

    def fail() -> None:
        spans(tracing, 1)
        assert delivery.force_flush()

    with caplog.at_level(logging.WARNING, export.log.name):
        fail()
        fail()
        now[0] += 59
        fail()
        assert [record.getMessage() for record in caplog.records] == [
            (
                "traces cannot be delivered to http://collector:4318 (1 spans dropped so far); "
                "start a collector there, or unset OTEL_EXPORTER_OTLP_ENDPOINT"
            )
        ]
        now[0] += 2
        fail()
        assert len(caplog.records) == 2
        delivery.shutdown()


def test_the_exporters_own_complaints_are_not_printed(collector: Collector) -> None:
    collector.status = 400
    stream = io.StringIO()
    with watched(collector.endpoint, stream) as observed:
        spans(observed.tracing, 2 * BATCH)
        collector.wait_for_requests(2)  # so the first one's failure has been told
    assert "opentelemetry" not in stream.getvalue()
    assert "start a collector there" in stream.getvalue()


def test_without_a_collector_there_is_no_thread_and_yet_a_trace_id() -> None:
    observed: Any = setup(process="p", service="s", events=Events(), stream=io.StringIO())
    span, _ = observed.tracing.serve("x", {}, {})
    assert observed._delivery is None
    assert span.get_span_context().is_valid
    assert not span.is_recording()


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("http://me:secret@host:1/x?y", "http://host:1"),
        ("https://host", "https://host"),
        ("http://host:port", "an address that is no URL"),
    ],
)
def test_an_address_is_told_without_its_password(endpoint: str, told: str) -> None:
    assert bare(endpoint) == told
