"""Prescriptions come at a steady rate while their relay is there, is away for long, and is there again.

A twin of the clinic, whose relay stays, gets the same prescriptions at the same moments. What is told of speed is told
against it, so that whatever else the machine does, slower or faster from minute to minute, weighs on both.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import aiohttp

from tests.fakes.relay.process import RelayProcess
from tests.fakes.waiting import until
from tests.faults.asking import ask, session
from tests.faults.checker import OK
from tests.faults.mail import Mailed
from tests.faults.outbox import check, rows
from tests.faults.report import Report, Scenario, telling
from tests.stack import Stack

RATE = 20  # prescriptions a second
AWAY = 600.0  # seconds
BEFORE = 120.0  # seconds with the relay
LONGEST = 900.0  # seconds until all letters must have been sent
SLOWER, LARGER = 1.1, 1.1  # ratios of p50 and of memory, during to before
LINKS = 2  # letters under way at once, so that one may overtake another


@dataclass
class Clinic:
    """One of the two: where it is, the seconds of each write by phase, who was acknowledged."""

    url: str
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"before": [], "away": []})
    written: list[int] = field(default_factory=list)

    def slower(self) -> float:
        """The p50 of the second phase, to that of the first."""
        return median(self.seconds["away"]) / median(self.seconds["before"])


@dataclass
class Told:
    """What was seen: of the clinic, of its twin, and of the memory of the first now and then (KiB)."""

    clinic: Clinic
    twin: Clinic
    memory: list[int] = field(default_factory=list)


def run(scenario: Scenario) -> Report:
    """Two clinics, each with a gateway, a service of each kind, and a relay."""
    with ExitStack() as kept:
        relay, stack = _clinic(scenario.folder, kept)
        (scenario.folder / "twin").mkdir()
        _, twin = _clinic(scenario.folder / "twin", kept)
        told = Told(Clinic(stack.url), Clinic(twin.url))
        asyncio.run(_run(scenario, stack, relay, told))
        kept.close()  # the relays write down what they have
        return _report(scenario, told, relay)


def _clinic(folder: Path, kept: ExitStack) -> tuple[RelayProcess, Stack]:
    relay = kept.enter_context(RelayProcess(folder))
    settings = {"CAREMESH_MAIL_RELAY": relay.address, "CAREMESH_LOG_LEVEL": "warning"}
    return relay, kept.enter_context(Stack(folder, settings=settings))


async def _run(scenario: Scenario, stack: Stack, relay: RelayProcess, told: Told) -> None:
    running, clinic = stack.processes["prescriptions.1"].running, told.clinic
    assert running

    def progress() -> str:
        states = Counter(row.state for row in rows(scenario.folder))
        return f"{len(clinic.written):,} prescriptions; letters {dict(states)}; {_memory(running.pid) // 1024} MiB"

    async with session(keeps=True) as http, telling(scenario, progress):
        await _prescribe(http, told, "before", BEFORE * scenario.share)
        await until(lambda: relay.count >= len(clinic.written), LONGEST)
        await asyncio.to_thread(relay.away)
        for part in range(10):
            told.memory.append(_memory(running.pid))
            await _prescribe(http, told, "away", AWAY * scenario.share / 10)
            scenario.tell(f"{part + 1} of 10 parts of the time away")
        told.memory.append(_memory(running.pid))
        await asyncio.to_thread(relay.back)
        await until(lambda: not any(row.open for row in rows(scenario.folder)), LONGEST)


async def _prescribe(http: aiohttp.ClientSession, told: Told, phase: str, seconds: float) -> None:
    """At a fixed rate to each by turns, whatever becomes of each: a slow answer keeps nobody else waiting."""
    begins = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(2 * round(seconds * RATE)):
            await asyncio.sleep(max(0.0, begins + number / (2 * RATE) - time.monotonic()))
            clinic = told.twin if number % 2 else told.clinic
            group.create_task(_one(http, clinic, phase, len(clinic.written) + number))


async def _one(http: aiohttp.ClientSession, clinic: Clinic, phase: str, number: int) -> None:
    begun = time.monotonic()
    write = Mailed(
        "post", "prescriptions", f"mark-{phase}-{begun}-{number}", f"{phase}-{begun}-{number}", 1000 + number
    )
    outcome = ""
    while outcome != OK:
        outcome, answer = await ask(http, clinic.url, write)
    clinic.seconds[phase].append(time.monotonic() - begun)
    clinic.written.append(answer.number("prescription_id"))


def _report(scenario: Scenario, told: Told, relay: RelayProcess) -> Report:
    letters = relay.letters()
    found, arrived = rows(scenario.folder), Counter((one.message_id, one.recipients) for one in letters)
    ids = {row.message_id: row.delivery_id for row in found}
    order = [ids[one.message_id] for one in letters if one.message_id in ids]
    alone, twin = told.clinic.slower(), told.twin.slower()
    slower = alone / twin
    larger = told.memory[-1] / told.memory[1]
    early = overtaken(order)
    figures = {
        "prescriptions": len(told.clinic.written),
        "of them while the relay was away": len(told.clinic.seconds["away"]),
        "letters": len(letters),
        "letters that came before an older one that was not under way": len(early),
        "p50 while away, to before": f"{alone:.2f}",
        "the same of the twin whose relay stayed": f"{twin:.2f}",
        "the one to the other": f"{slower:.2f}",
        "memory at the end of the time away, to its beginning": f"{larger:.2f}",
    }
    unsent = [row for row in found if row.state != "sent"]
    broken = [*check(found, arrived, told.clinic.written), *(f"order of age: {told}" for told in early)]
    broken += [f"all are sent: {row} is not" for row in unsent]
    if scenario.share >= 1:
        broken += [f"as fast as before: {slower:.2f} times as slow"] if slower > SLOWER else []
        broken += [f"memory is flat: {larger:.2f} times as large"] if larger > LARGER else []
    return Report(figures, broken)


def overtaken(order: Sequence[int]) -> list[str]:
    """Letters that came before more older ones than can have been under way beside them."""
    places = {number: place for place, number in enumerate(sorted(order))}
    return [f"letter {number} came as {came}" for came, number in enumerate(order) if places[number] - came > LINKS]


def _memory(process: int) -> int:
    """KiB of a process."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))
