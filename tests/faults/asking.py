"""Writes over REST, their answers, and what of each is known afterwards."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp

from tests.faults.checker import OK, REFUSED, UNKNOWN, Operation

PATIENCE = 10.0  # seconds for one answer
DAY = "2024-02-29"


@dataclass(frozen=True)
class Write:
    """What a client wants done; its copies share the key. `mark` is its text, by which it is known in the store."""

    kind: str
    collection: str
    mark: str
    key: str
    patient: int
    document: int = 0
    expected: int = 0

    @property
    def verb(self) -> str:
        return self.kind.upper()

    @property
    def path(self) -> str:
        return f"/{self.collection}" if self.kind == "post" else f"/{self.collection}/{self.document}"

    @property
    def headers(self) -> dict[str, str]:
        told = {"Idempotency-Key": self.key}
        return told | {"If-Match": f'"{self.document}.{self.expected}"'} if self.expected else told

    @property
    def body(self) -> dict[str, Any] | None:
        if self.kind == "delete":
            return None
        if self.collection == "records":
            return {"patient_id": self.patient, "doctor_id": 1, "record_text": self.mark, "date": DAY}
        medications = [{"medication_name": self.mark}]
        return {"patient_id": self.patient, "doctor_id": 1, "medications": medications, "written_on": DAY}


class Answer(NamedTuple):
    """What a repetition must get again; status 0 where there was no answer."""

    status: int
    body: bytes = b""
    etag: str | None = None
    location: str | None = None

    def number(self, name: str) -> int:
        """A number in the body, 0 where there is none."""
        return int(json.loads(self.body).get(name, 0)) if self.body else 0


NO_ANSWER = Answer(0)


async def ask(http: aiohttp.ClientSession, url: str, write: Write) -> tuple[str, Answer]:
    """Sends one copy of a write to a gateway. Returns OK, REFUSED or UNKNOWN, and the answer."""
    try:
        async with http.request(write.verb, url + write.path, json=write.body, headers=write.headers) as response:
            body = await response.read()
    except aiohttp.ClientConnectorError:
        # Nobody listened; but a PUT or DELETE whose connection had died is sent a second time by aiohttp itself.
        return REFUSED if write.kind == "post" else UNKNOWN, NO_ANSWER
    except (aiohttp.ClientError, TimeoutError):
        return UNKNOWN, NO_ANSWER
    answer = Answer(response.status, body, response.headers.get("ETag"), response.headers.get("Location"))
    return outcome_of(response.status), answer


def outcome_of(status: int) -> str:
    """What a client knows of its write by the status."""
    if status < 300:
        return OK
    # 504: the gateway does not know either. 503 and 4xx say that nothing was done.
    return UNKNOWN if status in {500, 502, 504} else REFUSED


@dataclass
class Log:
    """Every call of every client, and how many distinct writes were acknowledged."""

    operations: list[Operation] = field(default_factory=list)
    acknowledged: int = 0

    def add(self, client: int, write: Write, outcome: str, answer: Answer) -> Operation:
        ok = outcome == OK
        operation = Operation(
            number=len(self.operations) + 1,
            client=client,
            kind=write.kind,
            collection=write.collection,
            mark=write.mark,
            key=write.key,
            document=write.document,
            expected=write.expected,
            outcome=outcome,
            status=answer.status,
            id=answer.number(f"{write.collection[:-1]}_id") if ok else 0,
            version=answer.number("version") if ok else 0,
            answer=str(answer) if ok else "",
            patient=write.patient,
        )
        self.operations.append(operation)
        return operation


@asynccontextmanager
async def session(*, keeps: bool = False) -> AsyncIterator[aiohttp.ClientSession]:
    """`keeps` connections only where no process dies: a reused one that dies says nothing of what was sent."""
    connector = aiohttp.TCPConnector(force_close=not keeps, limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http:
        yield http
