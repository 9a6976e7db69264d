"""The drill: a clinic that is written to is copied, loses all that it has, and is put back."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from gateway.examples import NEW_PRESCRIPTION, NEW_RECORD
from tests.fakes.mariadb import PASSWORD, QUOTED, MariaDB
from tests.fakes.waiting import wait_until
from tests.upped import Up

pytestmark = pytest.mark.xdist_group("up")

NEW = {"record": NEW_RECORD, "prescription": NEW_PRESCRIPTION}
KEPT = ("ETag", "Location", "Content-Type")
ENOUGH = 60  # acknowledged writes before the backup, and again after it has begun


class Answer(NamedTuple):
    """What a client got."""

    status: int
    body: bytes
    headers: tuple[str | None, ...]


@dataclass(frozen=True)
class Write:
    """A request, to be made again as it was."""

    method: str
    path: str
    body: dict[str, Any]
    key: str = field(default_factory=lambda: str(uuid4()))

    def send(self, gateway: str) -> Answer:
        told = {"Content-Type": "application/json", "Idempotency-Key": self.key}
        request = urllib.request.Request(f"{gateway}{self.path}", json.dumps(self.body).encode(), told)
        request.method = self.method
        return _answer(request)


def _answer(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return Answer(answer.status, answer.read(), tuple(answer.headers[name] for name in KEPT))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(), ())


class Writer(threading.Thread):
    """Writes things of both services and changes them, one after the other; `done` is what was acknowledged."""

    def __init__(self, gateway: str) -> None:
        super().__init__(daemon=True)
        self.done: list[tuple[Write, Answer]] = []
        self.refused: list[tuple[Write, Answer]] = []
        self._gateway, self._ends = gateway, threading.Event()

    def run(self) -> None:
        for write in self._writes():
            answer = write.send(self._gateway)
            (self.done if answer.status in (200, 201) else self.refused).append((write, answer))
            if self._ends.is_set():
                return

    def _writes(self) -> Iterator[Write]:
        for number in count(1):
            for noun, body in NEW.items():
                yield Write("POST", f"/{noun}s", {**body, "patient_id": 1000 + number, "source_id": ""})
                made = json.loads(self.done[-1][1].body)
                yield Write("PUT", f"/{noun}s/{made[f'{noun}_id']}", {**made, "doctor_id": 8})

    def end(self) -> None:
        self._ends.set()
        self.join(30)


@dataclass(frozen=True)
class Ward:
    """Where the clinic's data is, and how to lose it."""

    databases: dict[str, str]
    lose: Callable[[Up], object]


@pytest.fixture(params=["sqlite", "mariadb"])
def ward(request: pytest.FixtureRequest) -> Iterator[Ward]:
    """On either kind of database."""
    if request.param == "sqlite":
        yield Ward({}, _lose_files)
        return
    server: MariaDB = request.getfixturevalue("server")
    with ExitStack() as made:
        found = {name: made.enter_context(server.database()) for name in ("records", "prescriptions")}
        names = [address.rpartition("/")[2] for address in found.values()]
        empty = [line for name in names for line in (f"DROP DATABASE {name}", f"CREATE DATABASE {name}")]
        yield Ward(found, lambda _: server.sql(*empty))


def _lose_files(up: Up) -> None:
    for file in up.data.glob("*.db*"):
        file.unlink()


@pytest.mark.timeout(300)
def test_the_drill(ward: Ward, tmp_path: Path) -> None:
    """Whoever has never put a backup back has none: all that was acknowledged before it is there, whole and once."""
    kept = str(tmp_path / "kept")
    with Up(tmp_path, databases=ward.databases) as up:
        writer = Writer(up.ready().gateway)
        writer.start()
        wait_until(lambda: len(writer.done) >= ENOUGH, 60)
        before = list(writer.done)
        backup = up.run("backup", kept)
        behind = len(writer.done)
        wait_until(lambda: len(writer.done) >= behind + ENOUGH, 60)
        running = up.run("restore", kept)
        writer.end()
        assert up.interrupt() == 0
    assert (backup.returncode, running.returncode, writer.refused) == (0, 1, []), backup.stderr
    assert "CareMesh already runs on" in running.stderr
    ward.lose(up)
    restore = up.run("restore", kept)
    assert restore.returncode == 0, restore.stderr
    told = "".join(one.stdout + one.stderr for one in (backup, running, restore))
    assert not [secret for secret in (PASSWORD, QUOTED, "mysql://") if secret in told]
    with Up(tmp_path, databases=ward.databases) as again:
        gateway = again.ready().gateway
        _check(gateway, before, writer.done[len(before) :])


def _check(gateway: str, before: list[tuple[Write, Answer]], after: list[tuple[Write, Answer]]) -> None:
    newest = {_place(json.loads(answer.body)): json.loads(answer.body) for _, answer in before}
    assert len(newest) > ENOUGH // 4
    histories = {place: _history(gateway, place) for place in newest}
    for place, thing in newest.items():
        versions = histories[place]
        assert [one["version"] for one in versions] == list(range(len(versions), 0, -1))
        assert thing in versions
    assert [write.send(gateway) for write, _ in before] == [answer for _, answer in before]
    assert {place: _history(gateway, place) for place in newest} == histories
    lost = {_place(json.loads(answer.body)) for write, answer in after if write.method == "POST"}
    assert [place for place in lost if not _history(gateway, place)]  # the copy is not of the moment of the loss


def _place(thing: dict[str, Any]) -> str:
    noun = "record" if "record_id" in thing else "prescription"
    return f"/patients/{thing['patient_id']}/{noun}s/{thing[f'{noun}_id']}"


def _history(gateway: str, place: str) -> list[dict[str, Any]]:
    answer = _answer(urllib.request.Request(f"{gateway}{place}/history"))
    return list(json.loads(answer.body).get("versions", []))
