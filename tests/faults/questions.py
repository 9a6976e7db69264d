"""Questions whose answers show whose they are, asked of a database or of a service."""

from collections.abc import Sequence
from functools import partial
from itertools import cycle
from random import Random
from typing import Any, NamedTuple, Protocol

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from protos.generated.caremesh import v1 as pb
from storage.database import Database
from storage.documents import Documents
from tests.databases import RECORDS
from tests.integration.services.serving import Client

PATIENTS = 20  # each has one record
LIMIT = 200
LONG = 60.0  # seconds granted to what is not to fail


class Seen(NamedTuple):
    """One version of a record in an answer. Its words begin with the patient's number."""

    key: int
    patient: int
    words: str
    version: int


class Store(Protocol):
    """Who is asked. Each method takes the seconds that the caller grants, last."""

    @property
    def kinds(self) -> Sequence[str]:
        """The names of the methods that can be asked besides `add`."""
        ...

    async def add(self, patient: int, words: str, patience: float) -> list[Seen]: ...
    async def replace(self, key: int, patient: int, words: str, patience: float) -> list[Seen]: ...
    async def get(self, key: int, patience: float) -> list[Seen]: ...
    async def page(self, patient: int, patience: float) -> list[Seen]: ...
    async def history(self, key: int, patience: float) -> list[Seen]: ...
    async def echo(self, words: str, patience: float) -> str:
        """The words that were sent."""
        ...


class Direct:
    """A database, through storage."""

    kinds = ("replace", "get", "page", "history", "echo")

    def __init__(self, database: Database) -> None:
        self._documents = Documents(database, RECORDS.shape)
        self._lanes = cycle((database.read, database.write))

    async def add(self, patient: int, words: str, patience: float) -> list[Seen]:
        return [_stored(await self._documents.add(RECORDS.content(patient, words=words), "local", patience))]

    async def replace(self, key: int, patient: int, words: str, patience: float) -> list[Seen]:
        content = RECORDS.content(patient, words=words)
        return [_stored(await self._documents.replace(key, lambda _: content, "local", patience))]

    async def get(self, key: int, patience: float) -> list[Seen]:
        return [_stored(await self._documents.get(key, 0, patience))]

    async def page(self, patient: int, patience: float) -> list[Seen]:
        return [_stored(one) for one in (await self._documents.page(patient, LIMIT, "", patience)).items]

    async def history(self, key: int, patience: float) -> list[Seen]:
        return [_stored(one) for one in (await self._documents.history(key, 0, LIMIT, "", patience)).items]

    async def echo(self, words: str, patience: float) -> str:
        return await next(self._lanes)(partial(echo, words), patience)

    async def whole_history(self, key: int) -> list[Seen]:
        """Every version, oldest first."""
        found, cursor, more = list[Seen](), "", True
        while more:
            page = await self._documents.history(key, 0, LIMIT, cursor, LONG)
            found += [_stored(one) for one in page.items]
            cursor = page.next_cursor
            more = bool(cursor)
        return found[::-1]


class Remote:
    """A records service, over gRPC."""

    kinds = ("replace", "get", "page", "history")

    def __init__(self, client: Client) -> None:
        self._client = client

    async def add(self, patient: int, words: str, patience: float) -> list[Seen]:
        message = pb.PatientRecord(patient_id=patient, doctor_id=1, record_text=words, date="2024-02-29")
        return [_answered(await self._client.call("PostPatientRecords", message, timeout=patience))]

    async def replace(self, key: int, patient: int, words: str, patience: float) -> list[Seen]:
        message = pb.PatientRecord(record_id=key, patient_id=patient, doctor_id=1, record_text=words, date="2024-02-29")
        return [_answered(await self._client.call("PutPatientRecords", message, timeout=patience))]

    async def get(self, key: int, patience: float) -> list[Seen]:
        message = pb.PatientRecordRequest(record_id=key)
        return [_answered(await self._client.call("GetPatientRecord", message, timeout=patience))]

    async def page(self, patient: int, patience: float) -> list[Seen]:
        message = pb.PatientRecordRequest(patient_id=patient, limit=LIMIT)
        page = await self._client.call("GetPatientRecords", message, timeout=patience)
        return [_answered(one) for one in page.items]

    async def history(self, key: int, patience: float) -> list[Seen]:
        message = pb.PatientRecordRequest(record_id=key, limit=LIMIT)
        page = await self._client.call("GetPatientRecordHistory", message, timeout=patience)
        return [_answered(one) for one in page.items]

    async def echo(self, words: str, patience: float) -> str:
        raise NotImplementedError


class Questions:
    """Asks, notes each answer that is another question's, and knows of each write whether it was acknowledged.

    Args:
        store: who is asked.
        first: the first patient's number.
    """

    def __init__(self, store: Store, first: int) -> None:
        self._store, self._patients = store, range(first, first + PATIENTS)
        self._keys: dict[int, int] = {}  # by patient
        self._acknowledged: list[Seen] = []
        self.answered = 0
        self.wrong: list[str] = []

    async def begin(self) -> None:
        """Writes what will be asked for."""
        for patient in self._patients:
            self._acknowledged += await self._store.add(patient, f"{patient}: first", LONG)
            self._keys[patient] = self._acknowledged[-1].key

    async def ask(self, number: int, rng: Random, patience: float = LONG) -> None:
        """Asks one question; `number` is its own."""
        patient, kind, store = rng.choice(self._patients), rng.choice(self._store.kinds), self._store
        key, words = self._keys[patient], f"{patient}: {number}"
        if kind == "echo":
            right = await store.echo(words, patience) == words
        elif kind == "replace":
            seen = await store.replace(key, patient, words, patience)
            self._acknowledged += seen
            right = [one.words for one in seen] == [words] and self._of(seen, key, patient)
        else:
            asked = {"get": store.get, "history": store.history, "page": store.page}[kind]
            right = self._of(await asked(patient if kind == "page" else key, patience), key, patient)
        self.answered += 1
        if not right:
            self.wrong.append(f"question {number}, a {kind}, had an answer to another one")

    async def settle(self, store: Direct) -> list[str]:
        """What is wrong with what is stored: every acknowledged version is there, none is missing, none foreign."""
        found = list[str]()
        for patient, key in self._keys.items():
            history = await store.whole_history(key)
            acknowledged = [one for one in self._acknowledged if one.key == key]
            if [one.version for one in history] != list(range(1, len(history) + 1)):
                found.append(f"the history of record {key} has gaps")
            if not self._of(history, key, patient) or len({one.words for one in history}) != len(history):
                found.append(f"the history of record {key} holds another's words, or some twice")
            if missing := set(acknowledged) - set(history):
                found.append(f"{len(missing)} acknowledged versions of record {key} are missing")
        return found

    @staticmethod
    def _of(seen: Sequence[Seen], key: int, patient: int) -> bool:
        mine = [(one.key, one.patient, one.words.partition(":")[0]) == (key, patient, str(patient)) for one in seen]
        return bool(mine) and all(mine)


def _stored(document: Any) -> Seen:
    return Seen(document.key, document.content.patient_id, document.content.record_text, document.version)


def _answered(message: Any) -> Seen:
    return Seen(message.record_id, message.patient_id, message.record_text, message.version)


async def echo(words: str, connection: AsyncConnection) -> str:
    """The words, by way of the database."""
    return str((await connection.execute(text("SELECT :words"), {"words": words})).scalar_one())
