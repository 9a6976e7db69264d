"""Twenty copies of each write at once under one key, through two gateways: it is done once, all are told the same.

A tenth of the copies is cut off by its client: in the middle of the request, before the answer, or in the middle of
the answer. Services die between commit and answer. Whoever does not know what became of a copy sends it again until
it is known, so that in the end each of the twenty has its answer. Then the key is used for another request.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from urllib.parse import urlsplit

import aiohttp

from tests.faults.asking import Answer, Log, Write, ask, session
from tests.faults.checker import OK, UNKNOWN, Histories, Listed, check
from tests.faults.keeping import calm, kept_alive, killing, kills
from tests.faults.report import Report, Scenario, telling
from tests.faults.stored import COLLECTIONS, stored
from tests.stack import Stack

KEYS = 1_000
COPIES = 20
CUT = 2  # of the copies of each key
AT_ONCE = 4  # keys
KILL_EVERY = 30  # commits of one process, about
KINDS = ("post", "put", "delete")
MOMENTS = ("mid-request", "before the answer", "mid-answer")
AFTER = "between commit and answer"
PATIENTS = range(1, 11)
LONGEST = 240.0  # seconds until a copy must have its answer, on a busy machine too
PAUSE = 1.0  # seconds at most between two copies of the same sender: nobody restarts while everybody calls
REUSED = 422


def run(scenario: Scenario) -> Report:
    """Copies through real gateways and services on SQLite."""
    return asyncio.run(_run(scenario))


@dataclass
class Told:
    """What became of the keys so far."""

    keys: list[Write] = field(default_factory=list)
    cut: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    broken: list[str] = field(default_factory=list)


async def _run(scenario: Scenario) -> Report:
    folder, keys = scenario.folder, scenario.size(KEYS)
    settings = {**killing(folder, scenario.seed, KILL_EVERY), "CAREMESH_TEST_KILL_AT": AFTER}
    stack = Stack(folder, replicas=2, gateways=2, settings=settings)
    log, told, numbers = Log(), Told(), count(1)
    async with kept_alive(stack), session() as http:
        client = _Client(http, stack.urls, log, told)
        async with (
            telling(scenario, lambda: f"{len(told.keys):,} of {keys:,} keys, {kills(folder).total()} kills"),
            asyncio.TaskGroup() as group,
        ):
            for _ in range(AT_ONCE):
                group.create_task(_each(numbers, keys, scenario, client))
        await calm(stack, folder)
        histories, listed = await stored(http, stack.url, PATIENTS, log.operations)
    return _report(log, told, histories, listed, kills(folder))


async def _each(numbers: "count[int]", keys: int, scenario: Scenario, client: "_Client") -> None:
    while (number := next(numbers)) <= keys:
        await client.key(number, scenario.rng(f"key {number}"))


def _report(log: Log, told: Told, histories: Histories, listed: Listed, died: Counter[str]) -> Report:
    effects = _effects(told.keys, histories)
    answers = sum(operation.outcome == OK for operation in log.operations if operation.key.startswith("key"))
    kinds = Counter(write.kind for write in told.keys)
    figures = {
        "keys": len(told.keys),
        **{f"keys of a {kind}": kinds[kind] for kind in KINDS},
        "effects": effects,
        "equal answers": answers,
        **{f"cut off {moment}": told.cut[moment] for moment in MOMENTS},
        "killed between commit and answer": died[AFTER],
        "unknown outcomes": sum(operation.outcome == UNKNOWN for operation in log.operations),
        "other requests under the key, refused": told.refused,
    }
    findings = check(log.operations, histories, listed)
    broken = [*told.broken, *(f"{finding.check}: {finding.told}" for finding in findings)]
    if effects != len(told.keys):
        broken.append(f"{len(told.keys)} keys had {effects} effects")
    return Report(figures, broken)


def _effects(keys: Sequence[Write], histories: Histories) -> int:
    """How many versions these writes made, wherever they are."""
    marks = Counter(
        (collection, version.mark)
        for (collection, _), versions in histories.items()
        for version in versions
        if not version.deleted
    )
    made = sum(marks[write.collection, write.mark] for write in keys if write.mark)
    deleted = {(write.collection, write.document) for write in keys if write.kind == "delete"}
    return made + sum(version.deleted for place in deleted for version in histories[place])


class _Client:
    """Sends the copies of one key after another's."""

    def __init__(self, http: aiohttp.ClientSession, urls: Sequence[str], log: Log, told: Told) -> None:
        self._http, self._urls, self._log, self._told = http, urls, log, told

    async def key(self, number: int, rng: Random) -> None:
        """All that one key goes through."""
        write = await self._write(number, rng)
        moments = [rng.choice(MOMENTS) if place < CUT else "" for place in range(COPIES)]
        rng.shuffle(moments)
        rngs = [Random(rng.random()) for _ in moments]
        copies = (self._copy(write, place, moment, rngs[place]) for place, moment in enumerate(moments))
        answers = set(await asyncio.gather(*copies))
        if len(answers) > 1:
            self._told.broken.append(f"a {write.kind} under {write.key} had {len(answers)} different answers")
        await self._reuse(write, rng)
        self._told.keys.append(write)

    async def _write(self, number: int, rng: Random) -> Write:
        kind, collection, patient = rng.choice(KINDS), rng.choice(COLLECTIONS), rng.choice(PATIENTS)
        if kind == "post":
            return Write(kind, collection, f"mark-{number}", f"key-{number}", patient)
        first = Write("post", collection, f"first-{number}", f"first-{number}", patient)
        document = (await self._until_known(first, 0, rng)).number(f"{collection[:-1]}_id")
        mark = f"mark-{number}" if kind == "put" else ""
        return Write(kind, collection, mark, f"key-{number}", patient, document, rng.choice((0, 1)))

    async def _copy(self, write: Write, place: int, moment: str, rng: Random) -> Answer:
        if moment:
            await _cut_off(self._urls[place % len(self._urls)], write, moment, rng)
            self._told.cut[moment] += 1
            self._log.add(place, write, UNKNOWN, Answer(0))
        return await self._until_known(write, place, rng)

    async def _until_known(self, write: Write, place: int, rng: Random) -> Answer:
        async with asyncio.timeout(LONGEST):
            for turn in count(place):
                outcome, answer = await ask(self._http, self._urls[turn % len(self._urls)], write)
                self._log.add(place, write, outcome, answer)
                if outcome == OK or 400 <= answer.status < 500:  # a refusal is no answer to a copy, and is told
                    break
                await asyncio.sleep(rng.uniform(0, PAUSE))
        return answer

    async def _reuse(self, write: Write, rng: Random) -> None:
        other = replace(write, expected=7) if write.kind == "delete" else replace(write, mark=f"other {write.mark}")
        status = 0
        async with asyncio.timeout(LONGEST):
            while status in {0, 500, 503, 504}:
                _, (status, *_) = await ask(self._http, rng.choice(self._urls), other)
                await asyncio.sleep(rng.uniform(0, 0.1) if status != REUSED else 0)
        if status != REUSED:
            self._told.broken.append(f"another {write.kind} under {write.key} was answered with {status}")
        self._told.refused += status == REUSED


async def _cut_off(url: str, write: Write, moment: str, rng: Random) -> None:
    """Sends a copy, whole or in part, and goes away."""
    request, address = _bytes(url, write), urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request[: rng.randrange(1, len(request))] if moment == "mid-request" else request)
    if moment == "mid-answer":
        with suppress(ConnectionError):
            await reader.read(rng.randint(1, 60))
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def _bytes(url: str, write: Write) -> bytes:
    body = b"" if write.body is None else json.dumps(write.body).encode()
    headers = {"Host": urlsplit(url).netloc, "Content-Type": "application/json", **write.headers}
    lines = [f"{write.verb} {write.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
