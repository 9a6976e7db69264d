"""Clients that write, remember what they were told, and never take an unknown outcome for a known one."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import aiohttp

from tests.faults.checker import OK, REFUSED, UNKNOWN, Operation

COPIES = 12  # tries of one write under one key, until its outcome is known
PATIENCE = 10.0  # seconds for one answer
REPEATED = 0.1  # share of acknowledged writes that are sent again under their key


@dataclass
class Log:
    """Every call of every client, and how many distinct writes were acknowledged."""

    operations: list[Operation] = field(default_factory=list)
    acknowledged: int = 0

    def add(self, **told: Any) -> Operation:
        operation = Operation(number=len(self.operations) + 1, **told)
        self.operations.append(operation)
        return operation


@dataclass(frozen=True)
class Write:
    """What a client wants done; its copies share the key."""

    kind: str
    collection: str
    mark: str
    key: str
    patient: int
    document: int = 0
    expected: int = 0

    @property
    def path(self) -> str:
        return f"/{self.collection}" if self.kind == "post" else f"/{self.collection}/{self.document}"

    @property
    def body(self) -> dict[str, Any] | None:
        if self.kind == "delete":
            return None
        if self.collection == "records":
            return {"patient_id": self.patient, "doctor_id": 1, "record_text": self.mark, "date": "2024-02-29"}
        medications = [{"medication_name": self.mark}]
        return {"patient_id": self.patient, "doctor_id": 1, "medications": medications, "written_on": "2024-02-29"}


class Client:
    """Writes for its own patients through all gateways, until told to stop."""

    def __init__(self, number: int, urls: Sequence[str], seed: int, log: Log, http: aiohttp.ClientSession) -> None:
        self._number, self._urls, self._log, self._http = number, urls, log, http
        self._rng = Random(f"{seed} client {number}")
        self._living: list[tuple[str, int, int, int]] = []  # collection, id, version as far as known, patient
        self._patients = range(1000 + 20 * number, 1020 + 20 * number)
        self._marks = 0

    @property
    def patients(self) -> range:
        return self._patients

    async def run(self, enough: int) -> None:
        """Until so many writes of all clients together were acknowledged."""
        while self._log.acknowledged < enough:
            await self._until_known(self._next())

    def _next(self) -> Write:
        self._marks += 1
        mark, key = f"mark-{self._number}-{self._marks}", str(UUID(int=self._rng.getrandbits(128), version=4))
        draw = self._rng.random()
        if draw < 0.5 or not self._living:  # half of the writes make something new
            collection = self._rng.choice(("records", "prescriptions"))
            return Write("post", collection, mark, key, self._rng.choice(self._patients))
        chosen = self._rng.randrange(len(self._living))
        collection, document, version, patient = self._living[chosen]
        if draw > 0.95:  # one in twenty deletes
            del self._living[chosen]
            return Write("delete", collection, "", key, patient, document, version)
        expected = version if self._rng.random() < 0.7 else 0  # most say what they expect to replace
        return Write("put", collection, mark, key, patient, document, expected)

    async def _until_known(self, write: Write) -> None:
        for _ in range(COPIES):
            done = await self._send(write)
            if done.outcome != UNKNOWN:
                break
            await asyncio.sleep(self._rng.uniform(0, 0.3))
        if done.outcome == OK:
            self._log.acknowledged += 1
            self._remember(write, done)
            if self._rng.random() < REPEATED:
                await self._send(write)
        elif done.status == 0 or done.status >= 500:  # not everybody rushes back at once
            await asyncio.sleep(self._rng.uniform(0, 0.3))

    def _remember(self, write: Write, done: Operation) -> None:
        if write.kind == "delete":
            return
        known = [each for each in self._living if each[:2] != (write.collection, done.id)]
        self._living = [*known, (write.collection, done.id, done.version, write.patient)][-50:]

    async def _send(self, write: Write) -> Operation:
        outcome, status, answer = await self._exchange(write)
        body = answer.get("body") or {}
        return self._log.add(
            client=self._number,
            kind=write.kind,
            collection=write.collection,
            mark=write.mark,
            key=write.key,
            document=write.document,
            expected=write.expected,
            outcome=outcome,
            status=status,
            id=body.get(f"{write.collection[:-1]}_id", 0) if outcome == OK else 0,
            version=body.get("version", 0) if outcome == OK else 0,
            answer=json.dumps(answer, sort_keys=True) if outcome == OK else "",
        )

    async def _exchange(self, write: Write) -> tuple[str, int, dict[str, Any]]:
        headers = {"Idempotency-Key": write.key}
        if write.expected:
            headers["If-Match"] = f'"{write.document}.{write.expected}"'
        url = self._rng.choice(self._urls) + write.path
        try:
            async with self._http.request(
                "PUT" if write.kind == "put" else write.kind.upper(), url, json=write.body, headers=headers
            ) as response:
                text = await response.text()
        except aiohttp.ClientConnectorError:
            return REFUSED, 0, {}  # nobody listened, so nothing was sent
        except (aiohttp.ClientError, TimeoutError):
            return UNKNOWN, 0, {}
        told = {name: response.headers.get(name) for name in ("ETag", "Location")}
        body = json.loads(text) if text else None
        return _judged(response.status), response.status, {"status": response.status, "body": body, **told}


def _judged(status: int) -> str:
    if status < 300:
        return OK
    # 504: the gateway does not know either. 503 and 4xx say that nothing was done.
    return UNKNOWN if status in {500, 502, 504} else REFUSED


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps no connection longer than a call: a reused one that dies says nothing of what was sent."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http:
        yield http
