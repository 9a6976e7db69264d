"""Records as registers, written and read through two gateways that share a Redis, under every kind of trouble.

It dies, falls silent and comes back, and half of its messages are lost. What each client saw is held against what was
written, and when.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random

import aiohttp

from tests.fakes.redis import RedisServer, redis_server
from tests.fakes.waiting import until
from tests.faults.asking import DAY, session
from tests.faults.report import Report, Scenario, telling
from tests.stack import Stack

OPERATIONS = 60_000
CLIENTS = 16
REGISTERS = 24
WRITES = 0.15  # share of the operations
BUSY, BUSY_SHARE = "not answered in time", 0.005
FRESH = 2.0  # seconds, by policy.toml
POLICY = Path(__file__).parents[2] / "policy.toml"
PLANTED = Path(__file__).with_name("lossy")


@dataclass(frozen=True)
class Seen:
    """One read or write that was answered well; moments are of this process's clock."""

    writes: bool
    gateway: int
    record: int
    version: int
    mark: str
    began: float
    ended: float
    status: str = ""


@dataclass
class Told:
    """What was seen."""

    seen: list[Seen] = field(default_factory=list)
    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)


def run(scenario: Scenario) -> Report:
    """Two gateways, two replicas of each service, a Redis."""
    with redis_server() as redis:
        settings = {
            "CAREMESH_LOG_LEVEL": "warning",
            "CAREMESH_POLICY": str(POLICY),
            "CAREMESH_REDIS": redis.url,
            "CAREMESH_TEST_LOST": "0.5",
            "PYTHONPATH": f"{PLANTED}:{Path(__file__).parents[2]}",
        }
        with Stack(scenario.folder, replicas=2, gateways=2, settings=settings) as stack:
            told = asyncio.run(_run(scenario, stack.urls, redis))
        log = stack.told
    figures = {
        "operations": told.done,
        "writes": sum(one.writes for one in told.seen),
        **dict(sorted(Counter(one.status for one in told.seen if not one.writes).items())),
        "reads older than a write through the other gateway": older(told.seen),
        "the store went away": log.count("store of answers is away"),
        "not answered in time": told.failed[BUSY],
    }
    others = [f"failed: {number} × {what}" for what, number in told.failed.items() if what != BUSY]
    # A machine that is busy with other things has no time for some; a Redis that is away is no reason.
    if told.failed[BUSY] > told.done * BUSY_SHARE:
        others.append(f"{told.failed[BUSY]} of {told.done} operations were not answered in time")
    return Report(figures, [*broken(told.seen), *others])


async def _run(scenario: Scenario, urls: Sequence[str], redis: RedisServer) -> Told:
    told, operations = Told(), scenario.size(OPERATIONS)
    async with session(keeps=True) as http, telling(scenario, lambda: f"{told.done:,} of {operations:,} operations"):
        records = [await _new(http, urls[0], number) for number in range(REGISTERS)]
        marks = count(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(_trouble(told, operations, redis))
            for number in range(CLIENTS):
                rng = scenario.rng(f"client {number}")
                group.create_task(_live(http, urls, number % 2, records, rng, told, operations, marks))
    return told


async def _trouble(told: Told, operations: int, redis: RedisServer) -> None:
    """Redis is killed after a quarter, comes back empty, falls silent after half, and goes on."""
    for share, step in ((0.25, redis.kill), (0.35, redis.start), (0.5, redis.stop), (0.65, redis.go_on)):
        await until(lambda: told.done >= share * operations, 3600)  # noqa: B023  # awaited here
        await asyncio.to_thread(step)


async def _new(http: aiohttp.ClientSession, url: str, number: int) -> tuple[int, int]:
    async with http.post(f"{url}/records", json=_body(1000 + number, "first")) as answer:
        return 1000 + number, int((await answer.json())["record_id"])


def _body(patient: int, mark: str) -> dict[str, object]:
    return {"patient_id": patient, "doctor_id": 1, "record_text": mark, "date": DAY}


async def _live(
    http: aiohttp.ClientSession,
    urls: Sequence[str],
    gateway: int,
    records: Sequence[tuple[int, int]],
    rng: Random,
    told: Told,
    operations: int,
    marks: "count[int]",
) -> None:
    while told.done < operations:
        patient, record = rng.choice(records)
        writes, listed, began = rng.random() < WRITES, rng.random() < 0.5, time.monotonic()
        path = f"/patients/{patient}/records" + ("" if listed and not writes else f"/{record}")
        body = _body(patient, f"mark-{next(marks)}") if writes else None
        told.done += 1
        async with http.request("PUT" if writes else "GET", urls[gateway] + path, json=body) as answer:
            value = await answer.json()
        if answer.status != 200:
            told.failed[BUSY if answer.status in (503, 504) else f"{answer.status} {value['type']}"] += 1
            continue
        found = value["records"][0] if listed and not writes else value
        status = answer.headers.get("Cache-Status", "").partition("; ttl")[0]
        ended = time.monotonic()
        told.seen.append(Seen(writes, gateway, record, found["version"], found["record_text"], began, ended, status))


def broken(seen: Sequence[Seen]) -> list[str]:
    """What may not be, each with its witnesses."""
    found = []
    written = {(one.record, one.version): one.mark for one in seen if one.writes}
    writes: dict[int, list[Seen]] = {}
    for one in seen:
        if one.writes:
            writes.setdefault(one.record, []).append(one)
    for read in (one for one in seen if not one.writes):
        mark = written.get((read.record, read.version), "first" if read.version == 1 else read.mark)
        if mark != read.mark:
            found.append(f"nobody wrote that there: {read}, but {mark}")
        for write in writes.get(read.record, ()):
            if write.version <= read.version or write.ended > read.began:
                continue
            if write.gateway == read.gateway:
                found.append(f"older than what was written through the same gateway: {write} {read}")
            elif read.began - write.ended > FRESH:
                found.append(f"older than the fresh time allows: {write} {read}")
    return found


def older(seen: Sequence[Seen]) -> int:
    """How many reads were older than what had been written through the other gateway: they may be, for a while."""
    newest: dict[int, list[Seen]] = {}
    for one in seen:
        if one.writes:
            newest.setdefault(one.record, []).append(one)
    return sum(
        any(write.version > read.version and write.ended < read.began for write in newest.get(read.record, ()))
        for read in seen
        if not read.writes
    )
