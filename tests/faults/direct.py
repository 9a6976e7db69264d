"""Writes straight to storage, in this process; the calls and what is stored are judged as those over REST are."""

import json
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database
from storage.documents import Documents
from storage.errors import Deleted, NotFound, OutcomeUnknown, StorageError, Unavailable, VersionMismatch
from storage.keys import Answered, Once, digest
from storage.lane import T, Work
from storage.shape import Document
from tests.databases import RECORDS
from tests.faults.asking import NO_ANSWER, Answer, Log, Write
from tests.faults.checker import OK, REFUSED, UNKNOWN, Finding, Place, Version, check

PATIENT = 7
COLLECTION = "records"
STATUS: dict[type[StorageError], int] = {NotFound: 404, Deleted: 410, VersionMismatch: 412, Unavailable: 503}


class Killed(BaseException):
    """The process is gone; in the real world nobody is left to raise this."""


class Mortal(Database):
    """A database whose process dies between a commit and whatever was to follow it.

    Attributes:
        commits_left: until it dies; it lives on when they never come to 0.
        tries: how often the work of a write was begun.
    """

    commits_left, tries = 0, 0

    async def write(self, work: Work[T], patience: float | None = None) -> T:
        async def counted(connection: AsyncConnection) -> T:
            self.tries += 1
            return await work(connection)

        written = await super().write(counted, patience)
        self.commits_left -= 1
        if self.commits_left == 0:
            raise Killed
        return written


class Desk:
    """One client of a database of records."""

    def __init__(self, database: Database, log: Log) -> None:
        self._documents, self._log = Documents(database, RECORDS.shape), log

    def post(self, mark: str) -> Write:
        return Write("post", COLLECTION, mark, f"key of {mark}", PATIENT)

    def put(self, mark: str, document: int, expected: int = 0) -> Write:
        return Write("put", COLLECTION, mark, f"key of {mark}", PATIENT, document, expected)

    def delete(self, document: int) -> Write:
        return Write("delete", COLLECTION, "", f"key of the end of {document}", PATIENT, document)

    async def ask(self, write: Write) -> Answer:
        """Sends a copy of a write. Raises Killed."""
        outcome, answer = UNKNOWN, NO_ANSWER
        try:
            outcome, answer = await self._answer(write)
        finally:
            self._log.add(1, write, outcome, answer)
        return answer

    async def _answer(self, write: Write) -> tuple[str, Answer]:
        once = Once(f"local\n{write.kind}", write.key, digest(repr(write).encode()), _told)
        try:
            return OK, Answer(200, _told(await self._written(write, once)))
        except Answered as before:
            return OK, Answer(200, before.answer)
        except OutcomeUnknown:
            return UNKNOWN, Answer(504)
        except tuple(STATUS) as refusal:
            return REFUSED, Answer(STATUS[type(refusal)])

    async def _written(self, write: Write, once: Once[Any]) -> Document[Any]:
        content = RECORDS.content(PATIENT, words=write.mark)
        if write.kind == "post":
            return await self._documents.add(content, "local", once=once)
        if write.kind == "delete":
            return await self._documents.delete(write.document, 0, "local", if_version=write.expected, once=once)
        return await self._documents.replace(
            write.document, lambda _: content, "local", if_version=write.expected, once=once
        )

    async def findings(self) -> list[Finding]:
        """What is wrong with what is stored, given all that the log holds."""
        page = await self._documents.page(PATIENT, 200, "")
        listed = {(COLLECTION, document.key): document.version for document in page.items}
        places = {*listed, *(operation.place for operation in self._log.operations if operation.place[1])}
        histories = {place: await self._history(place) for place in places}
        return check(self._log.operations, histories, listed)

    async def _history(self, place: Place) -> list[Version]:
        try:
            page = await self._documents.history(place[1], 0, 200, "")
        except NotFound:
            return []
        return [Version(each.version, RECORDS.words(each.content), each.deleted) for each in page.items[::-1]]


def _told(document: Document[Any]) -> bytes:
    # The version that hides a document is no part of the answer to a DELETE.
    body = {} if document.deleted else {"record_id": document.key, "version": document.version}
    return json.dumps(body).encode()
