"""Prescriptions are written and mailed while the relay fails at every point, is away, and workers die.

Some are changed and some deleted at once, before or after their letter has left. In the end the outbox is held
against what the relay stored.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import aiohttp

from tests.fakes.relay.process import RelayProcess
from tests.fakes.waiting import until
from tests.faults.asking import Write, ask, session
from tests.faults.checker import OK
from tests.faults.keeping import calm, deaths, kept_alive, killing
from tests.faults.outbox import check, rows
from tests.faults.report import Report, Scenario, telling
from tests.stack import Stack

PRESCRIPTIONS = 5_000
AWAY = 60.0  # seconds
CLIENTS = 8
KILLS = 100  # at least, in full size
KILL_EVERY = 75  # transactions of one process, about
FAULT_PER = 25  # exchanges with the relay at each point
CHANGED, DELETED = 0.1, 0.1  # shares
LONGEST = 600.0  # seconds until every letter must have ended, after nobody dies any more
AN_HOUR = 3600.0
POINTS = ("connect", "banner", "EHLO", "MAIL", "RCPT", "DATA", "dot", "QUIT")


@dataclass(frozen=True)
class Mailed(Write):
    """A prescription that is mailed to a pharmacy of its own."""

    @property
    def body(self) -> dict[str, Any] | None:
        body = super().body
        return body and {**body, "mail_to": f"{self.patient}@pharmacy.example.org"}


@dataclass
class Told:
    """What was acknowledged: prescriptions by id, and which of them was deleted."""

    written: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)


def run(scenario: Scenario) -> Report:
    """Real gateways, services and relay; leases, pauses and silences are shorter than a clinic's."""
    with RelayProcess(scenario.folder, seed=str(scenario.seed), per=FAULT_PER) as relay:
        told = asyncio.run(_run(scenario, relay))
    return _report(scenario, told, relay)


async def _run(scenario: Scenario, relay: RelayProcess) -> Told:
    folder, count, told = scenario.folder, scenario.size(PRESCRIPTIONS), Told()
    hurried = {"CAREMESH_TEST_HURRY": "1", "CAREMESH_MAIL_RELAY": relay.address}
    stack = Stack(folder, replicas=2, settings={**killing(folder, scenario.seed, KILL_EVERY), **hurried})

    def progress() -> str:
        states = Counter(row.state for row in rows(folder))
        died = deaths(folder, "prescriptions").total()
        return f"{len(told.written):,} of {count:,} prescriptions, {died} kills; letters {dict(states)}"

    async with kept_alive(stack), session() as http, telling(scenario, progress):
        async with asyncio.TaskGroup() as group:
            away = group.create_task(_away(relay, told, count // 2, AWAY * scenario.share))
            for number in range(CLIENTS):
                client = _Client(number, stack.urls, told, scenario.rng(f"client {number}"), http)
                group.create_task(client.run(count))
        await away
        await calm(stack, folder)
        await until(lambda: not any(row.open for row in rows(folder)), LONGEST)
    return told


async def _away(relay: RelayProcess, told: Told, after: int, seconds: float) -> None:
    await until(lambda: len(told.written) >= after, AN_HOUR)
    await asyncio.to_thread(relay.away)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(relay.back)


class _Client:
    """Prescribes for patients of its own, and thinks better of it now and then."""

    def __init__(self, number: int, urls: Sequence[str], told: Told, rng: Random, http: aiohttp.ClientSession) -> None:
        self._number, self._urls, self._told, self._rng, self._http = number, urls, told, rng, http
        self._writes = 0

    async def run(self, enough: int) -> None:
        while len(self._told.written) < enough:
            await self._prescribe()

    async def _prescribe(self) -> None:
        write = self._write("post", 1_000_000 * (self._number + 1) + self._writes, 0)
        document = await self._until_known(write)
        self._told.written.append(document)
        draw = self._rng.random()
        if draw > CHANGED + DELETED:
            return
        await asyncio.sleep(self._rng.uniform(0, 1))  # it may have left by then
        kind, done = ("put", self._told.changed) if draw < CHANGED else ("delete", self._told.deleted)
        await self._until_known(
            replace(write, kind=kind, document=document, key=f"{write.key}-{kind}", mark=f"{write.mark} again")
        )
        done.append(document)

    def _write(self, kind: str, patient: int, document: int) -> Mailed:
        self._writes += 1
        name = f"{self._number}-{self._writes}"
        return Mailed(kind, "prescriptions", f"mark-{name}", f"mail-{name}", patient, document)

    async def _until_known(self, write: Write) -> int:
        while True:
            outcome, answer = await ask(self._http, self._rng.choice(self._urls), write)
            if outcome == OK:
                return answer.number("prescription_id")
            if 400 <= answer.status < 500:
                raise AssertionError(f"{write.kind} was answered {answer.status}: {answer.body!r}")
            await asyncio.sleep(self._rng.uniform(0, 0.3))


def _report(scenario: Scenario, told: Told, relay: RelayProcess) -> Report:
    found = rows(scenario.folder)
    letters = Counter((letter.message_id, letter.recipients) for letter in relay.letters())
    states = Counter(row.state for row in found)
    twice = [row for row in found if letters[row.message_id, (row.recipient,)] > 1]
    failed = Counter(next(point for point in POINTS if name.startswith(point)) for name in _at_points(relay))
    for row in twice:
        scenario.tell(f"twice, as was in doubt {row.doubts} times: {row.message_id}")
    died = deaths(scenario.folder, "prescriptions")
    figures = {
        "prescriptions": len(told.written),
        "of them changed": len(told.changed),
        "of them deleted": len(told.deleted),
        **{f"letters {state}": number for state, number in sorted(states.items())},
        "in the mailboxes": letters.total(),
        "once in doubt": sum(row.doubts > 0 for row in found),
        "of them there twice or more": len(twice),
        "workers killed": died.total(),
        **{f"relay failed at {point}": failed[point] for point in POINTS},
    }
    broken = check(found, letters, told.written, told.changed, told.deleted)
    if scenario.share >= 1:
        broken += [
            f"the relay never failed at {point}, so nothing is known of it" for point in POINTS if not failed[point]
        ]
        broken += [f"only {died.total()} workers were killed"] if died.total() < KILLS else []
    return Report(figures, broken)


def _at_points(relay: RelayProcess) -> list[str]:
    names = [name for name, number in relay.happened.items() for _ in range(number)]
    return [name for name in names if name.startswith(POINTS)]
