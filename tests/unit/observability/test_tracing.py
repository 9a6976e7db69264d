"""One trace from the HTTP request through gRPC to the SQL statement, by names that hold no patient data."""

import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from mesh.call import methods_of
from mesh.client import ServiceClient
from mesh.endpoints import Static
from mesh.errors import RemoteError
from mesh.events import AttemptEnded, AttemptStarted, Events, NotRetried, Retried
from mesh.server import Health, Server, StatusError
from mesh.status import Status
from observability.current import traceparent
from observability.export import Delivery
from observability.http import App, Message, Receive, Scope, Send, Traced, name_route
from observability.rpc import RpcSpans
from observability.setup import Observability, setup
from observability.tracing import Tracing, current_tracer, trace_id, trace_sql
from protos.codec import Codec
from protos.generated.caremesh import v1 as pb
from protos.generated.levels import LEVELS
from tests.fakes.collector import Collector, SeenSpan
from tests.fakes.waiting import until

MARK = "XMARKX"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ROWS = Table("rows", MetaData(), Column("id", Integer, primary_key=True), Column("text", String))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans are delivered at once instead of once a second."""
    monkeypatch.setattr("observability.setup.Delivery", partial(Delivery, period=0.02))


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def observed(collector: Collector) -> Iterator[Observability]:
    events = Events()
    stream = io.StringIO()
    with setup(process="p.1", service="p", events=events, otlp_endpoint=collector.endpoint, stream=stream) as found:
        yield found


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/rows.db")
    trace_sql(engine)
    async with engine.begin() as connection:
        await connection.run_sync(ROWS.metadata.create_all)
    yield engine
    await engine.dispose()


async def asked(
    traced: Traced, path: str = f"/records/{MARK}", method: str = "GET", traceparent: str = PARENT
) -> int | None:
    """The status that one request got."""
    sent: list[Message] = []
    headers = [
        (b"traceparent", traceparent.encode()),
        (b"tracestate", f"x={MARK}".encode()),
        (b"x-name", MARK.encode()),
    ]
    scope: Scope = {"type": "http", "method": method, "path": path, "query_string": MARK.encode(), "headers": headers}

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await traced(scope, receive, send)
    return int(sent[0]["status"]) if sent else None


def answering(status: int, route: str = "") -> App:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if route:
            name_route(route)
        await send({"type": "http.response.start", "status": status})

    return app


def only(collector: Collector) -> SeenSpan:
    (span,) = collector.wait_for(lambda seen: len(seen) > 0)
    assert MARK not in span.raw
    return span


async def test_an_http_span_is_named_by_its_route_and_continues_the_callers_trace(
    observed: Observability, collector: Collector
) -> None:
    assert await asked(Traced(answering(200, "/records/{id}"), observed.tracing)) == 200
    span = only(collector)
    assert (span.name, span.kind, span.failed) == ("GET /records/{id}", "server", False)
    assert (span.trace_id, span.parent_id) == (PARENT[3:35], PARENT[36:52])
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/records/{id}",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
    }


async def test_a_request_without_route_or_with_an_invented_method_is_named_by_neither(
    observed: Observability, collector: Collector
) -> None:
    """Both are texts that a client sent."""
    await asked(Traced(answering(405), observed.tracing), method=MARK)
    span = only(collector)
    assert (span.name, span.attributes["http.request.method"]) == ("HTTP", "_OTHER")


@pytest.mark.parametrize(("status", "told"), [(404, None), (499, None), (500, "500"), (504, "504")])
async def test_only_a_5xx_marks_an_http_span_as_failed(
    status: int, told: str | None, observed: Observability, collector: Collector
) -> None:
    await asked(Traced(answering(status), observed.tracing))
    span = only(collector)
    assert (span.failed, span.attributes.get("error.type")) == (told is not None, told)


async def test_an_exception_in_the_application_is_recorded_by_type_and_place(
    observed: Observability, collector: Collector
) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError(MARK)

    with pytest.raises(ValueError, match=MARK):
        await asked(Traced(app, observed.tracing))
    span = only(collector)
    ((name, event),) = span.events
    assert (name, event["exception.type"]) == ("exception", "ValueError")
    assert event["caremesh.whence"].startswith("ValueError at test_tracing.py:")
    assert (span.failed, span.attributes["error.type"]) == (True, "ValueError")


@pytest.mark.parametrize("parent", ["", "nonsense", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", PARENT[:-1]])
async def test_a_damaged_traceparent_starts_a_new_trace(
    parent: str, observed: Observability, collector: Collector
) -> None:
    await asked(Traced(answering(200), observed.tracing), traceparent=parent)
    span = only(collector)
    assert span.parent_id == ""
    assert span.trace_id not in {PARENT[3:35], "0" * 32}


async def test_work_that_goes_on_after_its_request_belongs_to_the_requests_trace(
    observed: Observability, collector: Collector, engine: AsyncEngine
) -> None:
    """A letter is sent seconds or days later, perhaps by another process: all it has is the text that was stored."""
    stored = list[str]()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        stored.append(traceparent())
        await send({"type": "http.response.start", "status": 200})

    assert traceparent() == ""
    await asked(Traced(app, observed.tracing))
    with observed.tracing.resumed("mail", stored[0], {"caremesh.attempt": 1}):
        async with engine.begin() as connection:
            await connection.execute(select(ROWS))
    assert current_tracer() is None
    request, mail, statement = sorted(
        collector.wait_for(lambda seen: len(seen) > 2), key=lambda one: ("server", "consumer", "client").index(one.kind)
    )
    assert (request.trace_id, mail.trace_id, statement.trace_id) == (PARENT[3:35],) * 3
    assert (mail.parent_id, statement.parent_id) == (request.span_id, mail.span_id)
    assert (mail.name, mail.attributes) == ("mail", {"caremesh.attempt": 1})


async def test_the_trace_id_is_there_with_and_without_a_collector(observed: Observability) -> None:
    """Problems and log lines name it, whether or not anybody collects."""
    seen: list[str] = []

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(trace_id())

    await asked(Traced(app, observed.tracing))
    await asked(Traced(app, Tracing("s", "p")))
    await asked(Traced(app, Tracing("s", "p")), traceparent="")
    assert seen[:2] == [PARENT[3:35]] * 2
    assert len(seen[2]) == 32
    assert int(seen[2], 16) > 0
    assert trace_id() == ""
    assert current_tracer() is None


class Records(pb.PatientRecordsServiceBase):
    """Fails as told, after asking the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.failure: Exception | None = None

    async def get_patient_record(self, message: pb.PatientRecordRequest) -> pb.PatientRecord:
        async with self._engine.connect() as connection:
            await connection.execute(select(ROWS).where(ROWS.c.text == MARK))
        if self.failure:
            raise self.failure
        return pb.PatientRecord(record_text=MARK)


@asynccontextmanager
async def calling(collector: Collector, service: Records) -> AsyncIterator[ServiceClient]:
    """A client and a server with their own observability, as in two processes."""
    client_events, server_events, methods = Events(), Events(), methods_of(pb.PatientRecordsServiceBase, LEVELS)
    both = [
        setup(process="c.1", service="c", events=client_events, otlp_endpoint=collector.endpoint, stream=io.StringIO()),
        setup(process="s.1", service="s", events=server_events, otlp_endpoint=collector.endpoint, stream=io.StringIO()),
    ]
    with both[0], both[1]:
        async with (
            Server([service], health=Health(), events=server_events, codec=Codec()) as server,
            ServiceClient(
                "records", methods=methods, source=Static([server.address]), events=client_events, codec=Codec()
            ) as client,
        ):
            await until(lambda: [one.probe for one in client.endpoints()] == ["serving"])
            yield client


async def test_attempt_handling_and_statement_nest_in_one_trace(collector: Collector, engine: AsyncEngine) -> None:
    async with calling(collector, Records(engine)) as client:
        await client.call("GetPatientRecord", pb.PatientRecordRequest(record_id=7), timeout=5)
        spans = collector.wait_for(lambda seen: len(seen) == 3)
    attempt, handled, statement = sorted(spans, key=lambda span: span.start)
    assert {span.trace_id for span in spans} == {attempt.trace_id}
    assert (attempt.parent_id, handled.parent_id, statement.parent_id) == ("", attempt.span_id, handled.span_id)
    assert [(span.service, span.kind) for span in (attempt, handled, statement)] == [
        ("c", "client"),
        ("s", "server"),
        ("s", "client"),
    ]
    assert attempt.name == handled.name == "caremesh.v1.PatientRecordsService/GetPatientRecord"
    assert attempt.attributes.pop("server.port") > 0
    assert attempt.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": attempt.name,
        "rpc.response.status_code": "OK",
        "server.address": "127.0.0.1",
        "previous-rpc-attempts": 0,
        "transparent-retry": False,
    }
    assert handled.attributes["rpc.response.status_code"] == "OK"
    assert statement.name == "SELECT rows"
    assert statement.attributes == {
        "db.system.name": "sqlite",
        "db.operation.name": "SELECT",
        "db.collection.name": "rows",
        "db.query.summary": "SELECT rows",
    }
    assert all(MARK not in span.raw for span in spans)


async def test_a_handler_that_fails_is_told_by_type_and_place(collector: Collector, engine: AsyncEngine) -> None:
    service = Records(engine)
    service.failure = ValueError(MARK)
    async with calling(collector, service) as client:
        with pytest.raises(RemoteError):
            await client.call("GetPatientRecord", pb.PatientRecordRequest(record_id=7), timeout=5)
        spans = collector.wait_for(lambda seen: len(seen) == 3)
    attempt, handled, _ = sorted(spans, key=lambda span: span.start)
    assert (attempt.failed, attempt.attributes["error.type"]) == (True, "INTERNAL")
    assert (handled.failed, handled.attributes["error.type"]) == (True, "INTERNAL")
    ((_, event),) = handled.events
    assert (event["exception.type"], event["code.file.path"]) == ("ValueError", "test_tracing.py")
    assert event["code.line.number"] > 0
    assert all(MARK not in span.raw for span in spans)


async def test_a_refusal_fails_the_callers_span_but_not_the_services(collector: Collector, engine: AsyncEngine) -> None:
    """Whoever asks for what is not there made the mistake, say the conventions for gRPC."""
    service = Records(engine)
    service.failure = StatusError(Status.NOT_FOUND, "no such record", code="DELETED")
    async with calling(collector, service) as client:
        with pytest.raises(RemoteError):
            await client.call("GetPatientRecord", pb.PatientRecordRequest(record_id=7), timeout=5)
        spans = collector.wait_for(lambda seen: len(seen) == 3)
    attempt, handled, _ = sorted(spans, key=lambda span: span.start)
    assert (attempt.failed, attempt.attributes["rpc.response.status_code"]) == (True, "NOT_FOUND")
    assert (handled.failed, handled.attributes["rpc.response.status_code"]) == (False, "NOT_FOUND")
    assert handled.attributes["caremesh.code"] == "DELETED"


async def test_a_statement_that_fails_is_told_without_text_or_parameters(
    observed: Observability, collector: Collector, engine: AsyncEngine
) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        async with engine.begin() as connection:
            await connection.execute(insert(ROWS), [{"id": 1, "text": MARK}, {"id": 2, "text": MARK}])
            with pytest.raises(IntegrityError):
                await connection.execute(insert(ROWS).values(id=1, text=MARK))
            await connection.execute(text(f"SELECT '{MARK}'"))

    await asked(Traced(app, observed.tracing))
    spans = collector.wait_for(lambda seen: len(seen) == 4)
    many, once, raw = (span for span in spans if span.kind == "client")
    assert (many.name, many.attributes["db.operation.batch.size"], many.failed) == ("INSERT rows", 2, False)
    assert (once.name, once.failed, once.attributes["error.type"]) == ("INSERT rows", True, "IntegrityError")
    assert raw.name == "SELECT"
    assert all(MARK not in span.raw for span in spans)


async def test_a_statement_outside_of_a_request_makes_no_span(
    observed: Observability, collector: Collector, engine: AsyncEngine
) -> None:
    async with engine.connect() as connection:
        await connection.execute(select(ROWS))
    await asked(Traced(answering(200), observed.tracing))
    assert only(collector).kind == "server"


async def test_retries_are_events_of_the_request_that_caused_them(
    observed: Observability, collector: Collector
) -> None:
    listener = RpcSpans(observed.tracing)

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        first = AttemptStarted("/s/m", "r", "[::1]:70", 1, 0.6, {})
        listener(first)
        listener(AttemptEnded(first, "lost", 0.1))
        listener(Retried("/s/m", "r", 1, "lost", 0.02, 99))
        second = AttemptStarted("/s/m", "r", "[::1]:71", 2, 0.6, {})
        listener(second)
        listener(AttemptEnded(second, "cancelled", 0.1))
        listener(NotRetried("/s/m", "r", 2, "lost", "attempts_spent", 99))

    await asked(Traced(app, observed.tracing))
    first, second, request = collector.wait_for(lambda seen: len(seen) == 3)
    assert [name for name, _ in request.events] == ["retried", "not retried"]
    assert request.events[1][1] == {"number": 2, "outcome": "lost", "reason": "attempts_spent", "budget": 99}
    assert (first.attributes["server.address"], first.attributes["server.port"]) == ("::1", 70)
    assert (first.attributes["error.type"], second.attributes["error.type"]) == ("lost", "cancelled")
    assert second.attributes["previous-rpc-attempts"] == 1


async def test_probes_and_leases_make_no_spans(observed: Observability, collector: Collector) -> None:
    """They come each second and would bury what people ask about."""
    listener = RpcSpans(observed.tracing)
    started = AttemptStarted("/grpc.health.v1.Health/Check", "", "127.0.0.1:1", 1, 1.0, {})
    listener(started)
    listener(AttemptEnded(started, "ok", 0.1))
    assert started.metadata == {}
    await asked(Traced(answering(200), observed.tracing))
    assert only(collector).kind == "server"
