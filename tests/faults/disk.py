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
from tests.stack import Stack, get

ROUNDS = 20
CLIENTS = 8
SIZE = 24 * 1024 * 1024  # bytes of the file system
LEFT = 512 * 1024  # bytes at most that a round begins with
IN_A_ROW = 20  # refusals of a service without a kept write between them: its disk is full
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
        self.odd = list[str]()

    def add(self, client: int, write: Write, outcome: str, answer: Answer) -> Operation:
        if outcome == OK:
            self.kept[write.collection] += 1
            self.in_a_row[write.collection] = 0
        elif answer.status == 503:
            self._refused(write.collection, json.loads(answer.body))
        return super().add(client, write, outcome, answer)

    def _refused(self, collection: str, problem: dict[str, str]) -> None:
        self.refused[collection] += 1
        self.in_a_row[collection] += 1
        if problem["type"] != NO_ROOM or "room made on the disk" not in problem["detail"]:
            self.odd.append(f"a write that found no room is answered {problem['type']}: {problem['detail']}")


class _Round:
    """One time that the disk is full. Its clients have patients of their own."""

    def __init__(
        self, scenario: Scenario, number: int, stack: Stack, disk: SmallDisk, http: aiohttp.ClientSession
    ) -> None:
        self._number, self._stack, self._disk, self._http = number, stack, disk, http
        self._rng, self._odd = scenario.rng(f"round {number}"), number % 2 == 1
        self._log = Answers()
        numbers = range(CLIENTS * number, CLIENTS * (number + 1))
        self._clients = [Client(each, stack.urls, scenario.seed, self._log, http) for each in numbers]
        self._patients = [patient for client in self._clients for patient in client.patients]
        self.seen: Counter[str] = Counter()

    async def run(self) -> Sequence[str]:
        """Returns what was broken."""
        log = self._log
        with self._disk.filled(self._rng.randrange(LEFT) + self._room_for_checkpoints()):
            await self._write(lambda: all(log.in_a_row[name] >= IN_A_ROW for name in COLLECTIONS))
            self.seen.update(self._stuck(name) for name in COLLECTIONS)
            if self._odd:
                await self._start_again()
            broken = [*self._unwell(), *await self._look("while the disk is full")]
        log.kept.clear()
        refused = log.refused.total()
        await self._write(lambda: all(log.kept[name] >= RESUMED for name in COLLECTIONS))
        if late := log.refused.total() - refused:
            broken.append(f"{late} writes were refused after there was room")
        broken += [*log.odd, *await self._look("when there is room again")]
        self.seen.update({"acknowledged": log.acknowledged, "refused": refused, "rounds": 1})
        return [f"round {self._number}: {each}" for each in broken]

    async def _write(self, enough: Callable[[], bool]) -> None:
        async def writing(client: Client) -> None:
            while not enough():
                await client.write()

        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*map(writing, self._clients))

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

    def _unwell(self) -> Sequence[str]:
        services, ready = self._stack.health()["services"], get(f"{self._stack.url}/readyz")[0]
        breakers = [one["breaker"] for each in services for one in each["endpoints"] if one["available"]]
        states = [each["state"] for each in services]
        if (ready, states, breakers) == (200, ["up", "up"], ["closed", "closed"]):
            return []
        return [f"readyz is {ready}, services are {states}, breakers {breakers} while the disk is full"]

    async def _look(self, when: str) -> Sequence[str]:
        try:
            histories, listed = await stored(self._http, self._stack.url, self._patients, self._log.operations)
        except aiohttp.ClientResponseError as error:
            return [f"a read was answered {error.status} {when}"]
        self.seen[f"documents read {when}"] += len(histories)
        found = check(self._log.operations, histories, listed)
        return [f"{when}, {finding.check}: {finding.told}" for finding in found]


def _damage(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check").fetchone()
    return "" if found == "ok" else f"{file.name}: {found}"
