"""A full disk: writes are refused whole, reads go on, and writes resume when there is room, without a restart.

Both databases lie on a small file system. In each round a file takes nearly all of its room and clients take the rest,
until neither service can keep a write. What is stored is read then, some times after a service was killed and started
again on the full disk; the file is removed, and clients write on.
"""

import asyncio
import json
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import aiohttp

from tests.fakes.waiting import wait_until
from tests.faults.asking import Answer, Log, Write, session
from tests.faults.checker import OK, Operation, check
from tests.faults.clients import Client
from tests.faults.report import Report, Scenario, telling
from tests.faults.small import SmallDisk, small_disk
from tests.faults.stored import COLLECTIONS, stored
from tests.stack import Stack

ROUNDS = 20
CLIENTS = 3  # fewer than the losses that open a breaker: a busy machine loses what is under way, all at once
SIZE = 24 * 1024 * 1024  # bytes of the file system
LEFT = 512 * 1024  # bytes at most that a round begins with
IN_A_ROW = 10  # refusals of a service without a kept write between them: its disk is full
READS = 30  # of a page, a document and its history
READ = (200, 410)  # what they are answered with: a deleted document is gone
RESUMED = 20  # writes of each service that must be kept when there is room
CHECKPOINT = 1000 * 4120  # bytes of log after which SQLite moves it into the database
NO_ROOM = "urn:caremesh:problem:no-room"
LIMIT = 120.0  # seconds for each step of a round


def run(scenario: Scenario) -> Report:
    """Rounds on real processes; at the end SQLite looks over both files."""
    with small_disk(scenario.folder / "disk", SIZE) as disk:
        files = {name: disk.folder / f"{name}.db" for name in COLLECTIONS}
        databases = {name: f"sqlite:///{file}" for name, file in files.items()}
        with Stack(scenario.folder, databases=databases, settings={"CAREMESH_LOG_LEVEL": "warning"}) as stack:
            told = asyncio.run(_rounds(scenario, stack, disk))
            dead = [name for name, process in stack.processes.items() if process.running and process.running.poll()]
        broken = [*told.broken, *(f"{name} died" for name in dead), *filter(None, map(_damage, files.values()))]
    return Report(told.figures, broken)


async def _rounds(scenario: Scenario, stack: Stack, disk: SmallDisk) -> Report:
    seen, broken, rounds = Counter[str](), list[str](), scenario.size(ROUNDS)
    async with session() as http, telling(scenario, lambda: f"{seen['rounds']} of {rounds} rounds"):
        for number in range(rounds):
            one = _Round(scenario, number, stack, disk, http)
            broken += await one.run()
            seen.update(one.seen)
    return Report(dict(sorted(seen.items())), broken)


class Answers(Log):
    """The log of a round, which knows how each service fares."""

    def __init__(self) -> None:
        super().__init__()
        self.kept, self.refused, self.in_a_row = Counter[str](), Counter[str](), Counter[str]()
        self.details = set[str]()

    def add(self, client: int, write: Write, outcome: str, answer: Answer) -> Operation:
        if outcome == OK:
            self.kept[write.collection] += 1
            self.in_a_row[write.collection] = 0
        elif answer.status == 503 and (problem := json.loads(answer.body))["type"] == NO_ROOM:
            self.refused[write.collection] += 1
            self.in_a_row[write.collection] += 1
            self.details.add(problem["detail"])
        return super().add(client, write, outcome, answer)


class _Round:
    """One time that the disk is full. Its clients have patients of their own."""

    def __init__(
        self, scenario: Scenario, number: int, stack: Stack, disk: SmallDisk, http: aiohttp.ClientSession
    ) -> None:
        self._number, self._stack, self._disk, self._http = number, stack, disk, http
        self._rng, self._odd = scenario.rng(f"round {number}"), number % 2 == 1
        self._log, self.seen = Answers(), Counter[str]()
        numbers = range(CLIENTS * number, CLIENTS * (number + 1))
        self._clients = [Client(each, stack.urls, scenario.seed, self._log, http) for each in numbers]
        self._patients = [patient for client in self._clients for patient in client.patients]

    async def run(self) -> Sequence[str]:
        """Returns what was broken."""
        try:
            broken = [*await self._full(), *await self._room_again()]
        except TimeoutError:
            broken = [f"after {self._log.kept.total()} writes and {self._log.refused.total()} refusals nothing changes"]
        self.seen.update({"acknowledged": self._log.acknowledged, "refused": self._log.refused.total(), "rounds": 1})
        return [f"round {self._number}: {each}" for each in broken]

    async def _full(self) -> Sequence[str]:
        log = self._log
        with self._disk.filled(self._rng.randrange(LEFT) + self._room_for_checkpoints()):
            await self._write(lambda: all(log.in_a_row[name] >= IN_A_ROW for name in COLLECTIONS))
            self.seen.update(self._stuck(name) for name in COLLECTIONS)
            reading = asyncio.create_task(self._read())
            await self._write(reading.done)  # and are refused
            if self._odd:
                await self._start_again()
            broken = [*reading.result(), *await self._look("while the disk is full")]
        if not all("room made on the disk" in detail for detail in log.details):
            broken.append(f"whoever finds no room is told {log.details}")
        return broken

    async def _room_again(self) -> Sequence[str]:
        log, refused = self._log, self._log.refused.total()
        log.kept.clear()
        await self._write(lambda: all(log.kept[name] >= RESUMED for name in COLLECTIONS))
        late = log.refused.total() - refused
        broken = [f"{late} writes found no room when there was room again"] if late else []
        return [*broken, *await self._look("when there is room again")]

    async def _write(self, enough: Callable[[], bool]) -> None:
        async def writing(client: Client) -> None:
            while not enough():
                await client.write()

        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*map(writing, self._clients))

    async def _read(self) -> Sequence[str]:
        """One read after the other, since of many at once a busy machine loses enough to open a breaker."""
        known = [operation for operation in self._log.operations if operation.outcome == OK]
        statuses = Counter[int]()
        for one in self._rng.choices(known, k=READS):
            page = f"{self._stack.url}/patients/{one.patient}/{one.collection}"
            for path in (page, f"{page}/{one.place[1]}", f"{page}/{one.place[1]}/history"):
                async with self._http.get(path) as response:
                    statuses[response.status] += 1
        self.seen["reads among refused writes"] += statuses.total()
        wrong = {status: times for status, times in statuses.items() if status not in READ}
        return [f"reads among refused writes are answered {wrong}"] if wrong else []

    def _room_for_checkpoints(self) -> int:
        """In every other round the logs can grow until they must be moved, and the databases cannot take them."""
        return sum(max(0, CHECKPOINT - self._log_size(name)) for name in COLLECTIONS) if self._odd else 0

    def _stuck(self, name: str) -> str:
        return "checkpoints that could not end" if self._log_size(name) > CHECKPOINT else "logs that could not grow"

    def _log_size(self, name: str) -> int:
        return (self._disk.folder / f"{name}.db-wal").stat().st_size

    async def _start_again(self) -> None:
        name = self._rng.choice(COLLECTIONS)
        process, before = self._stack.processes[f"{name}.1"], set(self._stack.endpoints(name))
        await asyncio.to_thread(process.send, signal.SIGKILL)
        process.start()
        await asyncio.to_thread(wait_until, lambda: not before & set(self._stack.endpoints(name)), LIMIT)
        await asyncio.to_thread(self._stack.wait_until_ready)
        self.seen["started on a full disk"] += 1

    async def _look(self, when: str) -> Sequence[str]:
        await asyncio.to_thread(self._stack.wait_until_ready)
        url, operations = self._stack.url, self._log.operations
        histories, listed = await stored(self._http, url, self._patients, operations, at_once=1)
        self.seen[f"documents looked at {when}"] += len(histories)
        return [f"{when}, {finding.check}: {finding.told}" for finding in check(operations, histories, listed)]


def _damage(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check").fetchone()
    return "" if found == "ok" else f"{file.name}: {found}"
