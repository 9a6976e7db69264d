"""A marked text in every field and a forced exception in every layer: the mark is in no log line and no span.

The real processes run under their real supervisor, spans go to a real collector, and `planted/sitecustomize.py`
makes each layer fail with an exception whose text is all the patient data it was given.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from caremesh.sink.maildir import Maildir
from gateway.examples import NEW_PRESCRIPTION, NEW_RECORD
from tests.e2e.planted.sitecustomize import MARK, PLANTS
from tests.fakes.collector import Collector
from tests.fakes.waiting import wait_until
from tests.upped import HOUSE, Up

pytestmark = pytest.mark.xdist_group("patient data")

# The database's own failure; SQLAlchemy's exception then holds the statement and its parameters.
SQL = {
    "sql": f"""CREATE TRIGGER boom BEFORE INSERT ON records WHEN NEW.record_text LIKE '%BOOM-sql-%'
               BEGIN SELECT RAISE(ABORT, '{MARK}'); END"""
}
# What goes off beside a request does not fail it.
BESIDE = {"task", "callback", "thread", "finalizer", "listener"}
PLANTED = Path(__file__).with_name("planted")


class Watched:
    """A running clinic, and all that it tells the people who run it."""

    def __init__(self, up: Up, collector: Collector, booms: Path) -> None:
        self.up, self.collector, self._booms = up, collector, booms
        self.letters = Maildir(up.data / "mail")

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Sends what any client may send, well-formed or not; 0 when the connection is closed without an answer."""
        host, _, port = self.up.gateway.removeprefix("http://").rpartition(":")
        raw = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        kept = {"X-Note": MARK, "tracestate": f"x={MARK}", "User-Agent": MARK, **(headers or {})}
        if raw is not None:
            kept.setdefault("Content-Type", "application/json")
        connection = HTTPConnection(host, int(port), timeout=20)
        try:
            connection.request(method, path, raw, kept)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, HTTPException):
            return 0, ""
        finally:
            connection.close()

    def gone_off(self) -> set[str]:
        return set(self._booms.read_text().split()) if self._booms.exists() else set()

    def said(self) -> list[str]:
        """Every line of every process, as the supervisor shows it."""
        return list(self.up.lines)

    def marked(self) -> list[str]:
        """The lines and spans that hold the mark or a patient's number, and files beside databases and letters."""
        spans = [span.raw for span in self.collector.spans()]
        told = [path for path in self.up.data.rglob("*") if path.is_file() and self.letters.folder not in path.parents]
        files = [path for path in told if ".db" not in path.name]
        held = [str(path) for path in files if _marks(path.read_text(errors="replace"))]
        return [told for told in (*self.said(), *spans) if _marks(told)] + held

    def told_about(self, request_id: str) -> bool:
        return any(request_id in line for line in self.said())


def _marks(told: str) -> bool:
    return MARK in told or PATIENTS in told


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with running(tmp_path_factory.mktemp("clinic")) as found:
        yield found


@contextmanager
def running(place: Path) -> Iterator[Watched]:
    booms = place / "booms"
    with Collector() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{PLANTED}:{HOUSE}")
        patch.setenv("CAREMESH_TEST_BOOMS", str(booms))
        patch.setenv("CAREMESH_LOG_LEVEL", "debug")
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        with Up(place) as up:
            up.ready()
            with closing(sqlite3.connect(up.data / "records.db")) as database:
                database.execute(SQL["sql"])
            yield Watched(up, collector, booms)


def filled(value: Any) -> Any:
    """The same with the mark in every text where the rules allow free text."""
    if isinstance(value, list):
        return [filled(one) for one in value]
    if isinstance(value, dict):
        return {name: one if name in NARROW else filled(one) for name, one in value.items()}
    return f"{MARK} ť 骨" if isinstance(value, str) else value


PATIENTS = "214748000"  # how the numbers of the patients here begin
NARROW = {"date", "written_on", "patient_birth_date", "category", "status", "quantity", "mail_to", "source_id"}


def spoiled(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same with each field in turn being what no field takes, and with a field that nobody knows."""
    for name in body:
        yield {**body, name: {MARK: MARK}}
        yield {**body, name: f"{MARK}\x00"}
    yield {**body, MARK: MARK}


@pytest.mark.parametrize(("noun", "example"), [("records", NEW_RECORD), ("prescriptions", NEW_PRESCRIPTION)])
def test_marked_texts_in_every_field_reach_no_log_and_no_span(
    watched: Watched, noun: str, example: dict[str, Any]
) -> None:
    """Accepted, refused field by field, in paths, queries, headers and methods."""
    body = {**filled(example), "source_id": f"{MARK}-{noun}", "patient_id": int(f"{PATIENTS}7")}
    body |= {"mail_to": f"{MARK}@example.org"} if noun == "prescriptions" else {}
    status, made = watched.ask("POST", f"/{noun}", body)
    assert (status, MARK in made) == (201, True)
    if noun == "prescriptions":  # mailed, too: the worker, its client and the sink have seen the mark
        wait_until(lambda: any(MARK.encode() in path.read_bytes() for path in watched.letters.letters()))
    assert watched.ask("POST", f"/{noun}", body)[0] == 409
    for spoilt in spoiled(body):
        assert watched.ask("POST", f"/{noun}", spoilt)[0] == 400
    for raw in (f'{{"{MARK}":', f'{{"{MARK}": 1, "{MARK}": 2}}', f'{{"date": NaN, "x": "{MARK}"}}', f'"{MARK}"'):
        assert watched.ask("POST", f"/{noun}", raw.encode())[0] == 400
    assert watched.ask("POST", f"/{noun}", MARK.encode() + b"\xff\xfe")[0] == 400
    assert watched.ask("POST", f"/{noun}", b"{}", {"Content-Type": f"text/{MARK}"})[0] == 415
    assert watched.ask("POST", f"/{noun}", f'"{MARK * 200_000}"'.encode())[0] == 413
    for path in (f"/{noun}/{MARK}", f"/{noun}/7?cursor={MARK}", f"/{noun}/7?limit={MARK}", f"/{noun}/7?{MARK}=1"):
        assert watched.ask("GET", path)[0] == 400
    assert watched.ask("GET", f"/{MARK}/{MARK}?{MARK}={MARK}")[0] == 404
    assert watched.ask(MARK, f"/{noun}/7")[0] in (400, 405)
    assert watched.ask("GET", f"/{noun}/7", headers={"Host": f"{MARK}.example"})[0] == 421
    assert watched.ask("GET", f"/{noun}/7", headers={"Request-Timeout": MARK})[0] == 400
    status, _ = watched.ask(
        "GET", f"/{noun}/{PATIENTS}7", headers={"Request-Id": f"{MARK} {MARK}", "Authorization": MARK}
    )
    assert status == 200
    for verb, path in (("POST", f"/{noun}"), ("GET", f"/{noun}/{PATIENTS}7?{MARK}"), (MARK, f"/{MARK}")):
        watched.ask(verb, path, body, {"Request-Id": f"story-{noun}"})
    story = watched.up.run("explain", "--json", f"story-{noun}").stdout
    assert story.count('"event": "Answered"') == 2  # the third was no HTTP request
    assert not _marks(story)
    watched.ask("GET", f"/livez?{MARK}", headers={"Request-Id": f"last-of-{noun}"})
    wait_until(lambda: watched.told_about(f"last-of-{noun}"))
    trace = next(line.partition("trace_id=")[2] for line in watched.said() if f"last-of-{noun}" in line)
    watched.collector.wait_for(lambda spans: any(span.trace_id == trace for span in spans))
    assert watched.marked() == []


@pytest.mark.parametrize("layer", sorted({*PLANTS, *SQL} - {"supervisor"}))
def test_an_exception_in_any_layer_is_told_by_type_and_place_only(watched: Watched, layer: str) -> None:
    """It went off, the client got a problem without it, and a line or a span says where it came up."""
    body = {**NEW_RECORD, "record_text": f"BOOM-{layer}- {MARK}", "source_id": "", "patient_id": int(f"{PATIENTS}8")}
    # The edge has the stories of earlier requests at hand, with their ids: with this one it would always go off.
    name, before = f"BOOM-{layer}-" if layer != "edge" else layer, len(watched.said())
    status, answer = watched.ask("POST", "/records", body, {"X-Note": f"BOOM-{layer}-", "Request-Id": name})
    if layer in PLANTS:
        wait_until(lambda: layer in watched.gone_off())
    if layer in BESIDE:
        assert status == 201
    else:
        assert status in (500, 504), answer
        assert MARK not in answer
        problem = json.loads(answer)
        watched.collector.wait_for(
            lambda spans: any(span.trace_id == problem["trace_id"] and span.service == "gateway" for span in spans)
        )
    place = "IntegrityError at" if layer in SQL else "ValueError at sitecustomize.py:"
    wait_until(lambda: any(place in line for line in watched.said()[before:]))
    wait_until(lambda: any(name in line and " POST " in line for line in watched.said()[before:]))
    assert watched.marked() == []


def test_the_supervisor_tells_no_text_either(tmp_path: Path) -> None:
    """It reads every line of every process: when it fails on one, its own traceback would hold that line."""
    with running(tmp_path) as watched:
        watched.ask("GET", "/livez", headers={"Request-Id": "BOOM-supervisor-"})
        wait_until(lambda: "supervisor" in watched.gone_off())
        wait_until(lambda: watched.up.said("shown no more: ValueError at sitecustomize.py:"))
        watched.up.interrupt()
        assert watched.marked() == []
