"""Four writers with one `If-Match`, again and again, through two gateways: one of them wins each time, none unseen.

Each race is about one version of one document. Its four writers send at the same moment, half of them to each
gateway. In most races all of them replace the document; in some, each of them replaces or deletes it.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random

import aiohttp

from storage.database import Database
from storage.documents import Documents
from tests.databases import RECORDS, migrated
from tests.faults.asking import Answer, Log, Write, ask, session
from tests.faults.checker import OK, check
from tests.faults.report import Report, Scenario, telling
from tests.faults.stored import COLLECTIONS, stored
from tests.integration.storage.rivals import in_two_processes
from tests.stack import Stack

RACES = 10_000
WRITERS = 4
AT_ONCE = 12  # races, each about a document of its own
WITH_DELETES = 0.1  # share of races
PATIENTS = {"records": 1, "prescriptions": 2}
UPDATES = 600  # read-modify-writes of each of two processes on one SQLite file
TRIES = 40
WON, CHANGED, GONE = (200, 204), 412, 410


def run(scenario: Scenario) -> Report:
    """Races through real gateways and services on SQLite, and two processes that read, modify and write."""
    with Stack(scenario.folder, replicas=2, gateways=2, settings={"CAREMESH_LOG_LEVEL": "warning"}) as stack:
        raced = asyncio.run(_race(scenario, stack.urls))
    kept = asyncio.run(_updates(scenario, scenario.size(UPDATES)))
    updates = 2 * scenario.size(UPDATES)
    figures = {**raced.figures, "read-modify-writes by two processes": updates, "of them kept": kept}
    lost = [] if kept == updates else [f"{updates - kept} of {updates} read-modify-writes are lost"]
    return Report(figures, [*raced.broken, *lost])


@dataclass
class Told:
    """What the races came to."""

    races: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def judge(self, race: int, writes: Sequence[Write], answers: Sequence[Answer]) -> Write | None:
        """The winner; notes it where not exactly one has won, or where a loser was told anything but that it lost."""
        won = [write for write, answer in zip(writes, answers, strict=True) if answer.status in WON]
        lost = Counter(answer.status for answer in answers if answer.status not in WON)
        expected = Counter({GONE if won and won[0].kind == "delete" else CHANGED: WRITERS - 1})
        if len(won) != 1 or lost != expected:
            kinds = [f"{write.kind} {answer.status}" for write, answer in zip(writes, answers, strict=True)]
            self.broken.append(f"race {race} for version {writes[0].expected} of {writes[0].path}: {kinds}")
        self.races += 1
        self.seen["races with deletes"] += any(write.kind == "delete" for write in writes)
        self.seen.update(f"won by a {write.kind}" for write in won)
        self.seen.update({f"lost with {status}": number for status, number in lost.items()})
        return won[0] if won else None


async def _race(scenario: Scenario, urls: Sequence[str]) -> Report:
    log, told, turns = Log(), Told(), count(1)
    races = scenario.size(RACES)
    async with session(keeps=True) as http, telling(scenario, lambda: f"{told.races:,} of {races:,} races"):
        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                track = _Track(number, http, urls, log, told, scenario.rng(f"track {number}"))
                group.create_task(track.run(turns, races))
        histories, listed = await stored(http, urls[0], list(PATIENTS.values()), log.operations)
    findings = check(log.operations, histories, listed)
    versions = sum(len(history) for history in histories.values())
    figures = {
        "races": told.races,
        **dict(sorted(told.seen.items())),
        "documents": len(histories),
        "versions in their histories": versions,
        "copies sent again": len(log.operations) - told.races * WRITERS - len(histories),
    }
    broken = [*told.broken, *(f"{finding.check}: {finding.told}" for finding in findings)]
    if versions != told.races + len(histories):
        broken.append(f"{told.races} winners and {len(histories)} first versions made {versions} versions")
    return Report(figures, broken)


class _Track:
    """One race after the other, each about what the last one left."""

    def __init__(
        self, number: int, http: aiohttp.ClientSession, urls: Sequence[str], log: Log, told: Told, rng: Random
    ) -> None:
        self._number, self._http, self._urls, self._log, self._told, self._rng = number, http, urls, log, told, rng
        self._collection = COLLECTIONS[number % len(COLLECTIONS)]
        self._marks = count(1)

    async def run(self, turns: "count[int]", races: int) -> None:
        document, version = await self._new(), 1
        while (race := next(turns)) <= races:
            winner = await self._race(race, document, version)
            version += 1
            if winner is None or winner.kind == "delete":
                document, version = await self._new(), 1

    async def _new(self) -> int:
        answer = await self._until_known(self._write("post", 0, 0), 0)
        return answer.number(f"{self._collection[:-1]}_id")

    async def _race(self, race: int, document: int, version: int) -> Write | None:
        mixed = self._rng.random() < WITH_DELETES
        kinds = [self._rng.choice(("put", "delete")) if mixed else "put" for _ in range(WRITERS)]
        writes = [self._write(kind, document, version) for kind in kinds]
        answers = await asyncio.gather(*(self._until_known(write, place) for place, write in enumerate(writes)))
        return self._told.judge(race, writes, answers)

    def _write(self, kind: str, document: int, version: int) -> Write:
        name = f"{self._number}-{next(self._marks)}"
        mark = "" if kind == "delete" else f"mark-{name}"
        return Write(kind, self._collection, mark, f"key-{name}", PATIENTS[self._collection], document, version)

    async def _until_known(self, write: Write, place: int) -> Answer:
        for _ in range(TRIES):
            outcome, answer = await ask(self._http, self._urls[place % len(self._urls)], write)
            self._log.add(self._number, write, outcome, answer)
            if outcome == OK or 400 <= answer.status < 500:
                return answer
            await asyncio.sleep(self._rng.uniform(0, 0.2))  # too busy, or nobody knows
        raise TimeoutError(f"a {write.kind} had no clear answer in {TRIES} tries")


async def _updates(scenario: Scenario, writes: int) -> int:
    address = f"sqlite:///{scenario.folder}/updates.db"
    await migrated(address, RECORDS)
    async with Database(address) as database:
        documents = Documents(database, RECORDS.shape)
        document = await documents.add(RECORDS.content(), "local")
        await in_two_processes(address, document.key, writes)
        return (await documents.get(document.key)).version - 1
