"""What the gateway tells of kept answers, and that those given without the framework are the same to a byte."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.http.cache_status import goes_past
from gateway.http.exchange import Answered
from gateway.http.ready import Page, Ready
from gateway.policies import policies
from gateway.settings import GatewaySettings
from gateway.wiring import build
from mesh.cache.bounded import Bounded
from mesh.clock import Clock
from mesh.errors import NoEndpoint, RemoteError
from mesh.events import CacheHit
from mesh.status import Status
from mesh.testing import TurnedClock, settle
from observability.stories import Stories
from observability.tracing import Tracing
from tests.fakes.gateway import Answer, Gateway
from tests.fakes.kept import keeping
from tests.fakes.mesh import Recorded

POLICY = str(Path(__file__).parents[3] / "policy.toml")
RECORD = {"patient_id": 7, "doctor_id": 3, "record_text": "Well.", "date": "2026-03-17"}


class Keeping(Gateway):
    """A gateway whose services are called by clients that keep answers."""

    def __init__(self, clock: Clock, settings: GatewaySettings) -> None:
        super().__init__(clock=clock, settings=settings)
        self.events, self.spans = Recorded(), InMemorySpanExporter()
        table, services = policies(POLICY), (self.records, self.prescriptions)
        self.clients = [keeping(each, table[each.service], clock, self.events) for each in services]
        tracing = Tracing("gateway", "gateway", SimpleSpanProcessor(self.spans))
        stories = Stories(clock.now)
        self.events.subscribe(stories)
        self.app = build(self.clients[0], self.clients[1], settings, clock, tracing, lambda: False, stories)

    async def get(self, target: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.request("GET", target, headers={"Request-Id": "r", **named})

    def told(self) -> tuple[object, ...]:
        """Spans and events, but for ids that are drawn anew each time."""
        ended = self.spans.get_finished_spans()
        spans = [(span.name, dict(span.attributes or {}), span.status.status_code, span.kind) for span in ended]
        hits = [(hit.method, hit.request_id == "r", hit.how, hit.age) for hit in self.events.of(CacheHit)]
        answered = [(one.verb, one.route, one.status, one.outcome) for one in self.events.of(Answered)]
        return spans, hits, answered

    @property
    def ready(self) -> Ready:
        """The layer that answers without the framework."""
        layer: Any = self.app
        while not isinstance(layer, Ready):
            layer = layer._app
        return layer


@pytest.fixture
async def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture(params=["fast", "slow"])
async def kept(
    request: pytest.FixtureRequest, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Keeping]:
    """With the layer that answers without the framework, and with one that has nothing ready."""
    if request.param == "slow":
        monkeypatch.setattr(Bounded, "put", put_nothing_ready(Bounded.put))
    async for each in entered(clock):
        yield each


def put_nothing_ready(put: Any) -> Any:
    def putting(self: Any, key: Any, value: Any) -> bool:
        return False if isinstance(value, Page) else bool(put(self, key, value))

    return putting


async def entered(clock: TurnedClock, settings: GatewaySettings | None = None) -> AsyncIterator[Keeping]:
    made = Keeping(clock, settings or GatewaySettings())
    async with made.clients[0], made.clients[1]:
        await settle()
        yield made


def status(answer: Answer) -> str:
    return answer.headers["cache-status"]


class TestTold:
    """Whichever way an answer takes."""

    async def test_a_read_says_whether_it_was_kept_and_how_old_it_is(self, kept: Keeping, clock: TurnedClock) -> None:
        """A client that wonders why it sees what it sees can look."""
        first = await kept.get("/records/7")
        assert (status(first), "age" in first.headers) == ("caremesh; fwd=uri-miss; stored", False)
        await clock.turn(1.2)
        second = await kept.get("/records/7")
        assert re.fullmatch(r"caremesh; hit; ttl=0", status(second))
        assert second.headers["age"] == "1"
        assert (first.body, first.headers["etag"]) == (second.body, second.headers["etag"])
        await clock.turn(1)
        assert status(await kept.get("/records/7")) == "caremesh; fwd=stale; stored"
        assert len(kept.records.asked) == 2

    async def test_no_cache_asks_the_service(self, kept: Keeping) -> None:
        """Someone who doubts what is shown reloads."""
        await kept.get("/records/7")
        answer = await kept.get("/records/7", Cache_Control="no-cache")
        assert status(answer) == "caremesh; fwd=request; stored"
        assert len(kept.records.asked) == 2

    async def test_what_is_not_kept_says_so(self, kept: Keeping) -> None:
        """What became of letters changes without a write."""
        for _ in range(2):
            assert status(await kept.get("/prescriptions/41/deliveries")) == "caremesh; fwd=bypass"
        assert len(kept.prescriptions.asked) == 2

    async def test_a_write_is_read_at_once_and_tells_nothing_of_caches(self, kept: Keeping) -> None:
        """After a 2xx the same gateway never answers older."""
        await kept.get("/records/7")
        await kept.get("/records/7")
        written = await kept.post("/records", RECORD)
        assert (written.status, "cache-status" in written.headers) == (201, False)
        assert status(await kept.get("/records/7")) == "caremesh; fwd=stale; stored"

    async def test_a_412_is_followed_by_a_read_that_was_asked_for(self, kept: Keeping) -> None:
        """Else the client would read what it has, and get 412 again."""
        await kept.get("/records/7")
        await kept.get("/records/7")
        kept.records.fails(RemoteError(Status.ABORTED, "another version", code="VERSION_MISMATCH"))
        headers = {"If-Match": '"12.1"', "Content-Type": "application/json"}
        assert (await kept.post("/records/12", RECORD, "PUT", headers)).status == 412
        kept.records.outcome = lambda _method, _message: None
        assert status(await kept.get("/records/7")) == "caremesh; fwd=stale; stored"

    async def test_a_stale_answer_is_marked(self, kept: Keeping, clock: TurnedClock) -> None:
        """A doctor must know that it may have changed meanwhile."""
        fresh = await kept.get("/records/7")
        await clock.turn(60)
        kept.records.fails(NoEndpoint("nobody"))
        asking = kept.get("/records/7")
        answer = await finished(clock, asking)
        assert (answer.status, answer.body, answer.headers["age"]) == (200, fresh.body, "60")
        assert re.fullmatch(r'caremesh; hit; ttl=-5\d; detail="stale: no_endpoint"', status(answer))
        assert answer.headers["etag"] == fresh.headers["etag"]

    async def test_what_is_not_there_is_kept_briefly_too(self, kept: Keeping) -> None:
        """A 404 says so as a 200 does."""
        kept.records.fails(RemoteError(Status.NOT_FOUND, "record 12 does not exist"))
        first, second = [await kept.get("/patients/7/records/12") for _ in range(2)]
        assert (first.status, second.status) == (404, 404)
        assert (status(first), status(second)) == ("caremesh; fwd=uri-miss; stored", "caremesh; hit; ttl=0")
        assert len(kept.records.asked) == 1

    async def test_a_failure_says_that_nothing_was_kept(self, kept: Keeping, clock: TurnedClock) -> None:
        """And a refusal of the gateway's own says nothing: nobody looked."""
        kept.records.fails(NoEndpoint("nobody"))
        answer = await finished(clock, kept.get("/records/7"))
        assert (answer.status, status(answer)) == (503, "caremesh; fwd=uri-miss")
        assert "cache-status" not in (await kept.get("/records/x")).headers


async def finished(clock: TurnedClock, asking: Any) -> Answer:
    """The answer, however many pauses come before it."""
    task = asyncio.ensure_future(asking)
    for _ in range(20):
        await clock.turn(0.1)
    answer: Answer = await task
    return answer


QUESTIONS: list[Mapping[str, str]] = [
    {},
    {"If-None-Match": "TAG"},
    {"If-None-Match": 'W/"other", TAG'},
    {"If-None-Match": "*"},
    {"If-None-Match": '"other"'},
    {"If-None-Match": "broken"},
    {"If-Match": "TAG"},
    {"Request-Timeout": "1.5"},
    {"Request-Timeout": "soon"},
    {"Request-Id": "no good id"},
    {"Host": "evil.example"},
    {"Origin": "https://app.example"},
    {"Origin": "https://evil.example"},
    {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    {"Content-Length": "0"},
    {"Accept": "text/html", "User-Agent": "curl/8"},
]
TARGETS = (
    "/records/7",
    "/records/7?limit=5&category=note",
    "/patients/7/records/12",
    "/patients/7/prescriptions",
    "/patients/7/prescriptions/41/history",
)


def shown(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of it in its order, but for ids that are drawn anew each time."""
    drawn = re.compile(rb'"(?:trace_id|request_id|instance)":"[^"]*"')
    headers = [
        (name, "drawn" if name == "request-id" and value != "r" else value) for name, value in answer.headers.items()
    ]
    return answer.status, headers, drawn.sub(b"", answer.body)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("question", QUESTIONS, ids=str)
async def test_an_answer_without_the_framework_is_the_same_to_a_byte(
    target: str,
    question: Mapping[str, str],
    clock: TurnedClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Headers in their order, body, span, log line and events: nobody can tell which way it took, but by the time."""
    told = {}
    put = Bounded.put
    for way in ("fast", "slow"):
        monkeypatch.setattr(Bounded, "put", put if way == "fast" else put_nothing_ready(put))
        async for kept in entered(clock, GatewaySettings(cors_origins="https://app.example")):
            first = await kept.get(target)
            await kept.get(target)
            kept.spans.clear()
            kept.events.seen.clear()
            caplog.clear()
            caplog.set_level("INFO", "observability.request")
            headers = {name: value.replace("TAG", first.headers["etag"]) for name, value in question.items()}
            answer = await kept.request("GET", target, headers={"Request-Id": "r", **headers})
            lines = [record.getMessage() for record in caplog.records]
            told[way] = (shown(answer), *kept.told(), lines, len(kept.asked))
    assert told["fast"] == told["slow"]
    assert told["fast"][-1] == 1, "the service was asked once"


async def test_a_fresh_hit_does_not_reach_the_framework(clock: TurnedClock) -> None:
    """That is the point of it."""
    async for kept in entered(clock):
        for _ in range(2):
            await kept.get("/records/7")
        kept.ready._app = unreachable
        assert (await kept.get("/records/7")).status == 200
        assert (await kept.get("/records/8")).status == 500, "and what is not ready does"


async def unreachable(scope: Any, receive: Any, send: Any) -> None:
    """A framework that nobody may reach."""
    raise AssertionError


async def test_pages_are_bounded_by_bytes(clock: TurnedClock) -> None:
    """A scan of all patients must not fill the memory."""
    async for kept in entered(clock, GatewaySettings(cache_mb=1)):
        for patient in range(1, 400):
            await kept.get(f"/records/{patient}")
        assert 0 < kept.ready._pages.bytes <= 2**19


@pytest.mark.parametrize(
    ("value", "past"),
    [
        ("no-cache", True),
        ("max-age=0", True),
        ("NO-STORE", True),
        ("max-stale=5, no-cache", True),
        ("max-age=10", False),
        ("x-no-cache", False),
        ("", False),
    ],
)
def test_what_a_request_may_ask_of_caches(value: str, *, past: bool) -> None:
    """A browser's reload says max-age=0."""
    assert goes_past([value]) is past


@pytest.mark.parametrize(
    ("settings", "bytes_"),
    [
        ({}, 64 * 2**20),
        ({"cache_mb": 0}, 0),
        ({"gateways": 2}, 0),
        ({"gateways": 2, "redis": "redis://127.0.0.1:6379/0"}, 64 * 2**20),
    ],
)
def test_several_gateways_keep_nothing_unless_they_share_it(settings: Mapping[str, Any], bytes_: int) -> None:
    """One would not hear of what is written through the other."""
    assert GatewaySettings(**settings).memory == bytes_
