"""Documents: rows that belong to a patient, have a day, and get a new version with every committed write.

A record and a prescription are documents. A service says how its documents lie in their table (`Shape`);
how they are found, listed, written and hidden is the same for both and stands here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Column, Row, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.columns import LARGEST_ID
from storage.database import Database
from storage.errors import Deleted, IdsExhausted, NotFound, SourceTaken
from storage.listing import Listing
from storage.pages import Page, Position, cursor_after, fill, position_of


class Content(Protocol):
    """What a client wrote, whatever the service."""

    @property
    def patient_id(self) -> int: ...
    @property
    def source_id(self) -> str: ...


C = TypeVar("C", bound=Content)


@dataclass(frozen=True, slots=True)
class Document(Generic[C]):
    """What a client wrote, and which version of which document it is, made when and by whom."""

    key: int
    content: C
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class Shape(Generic[C]):
    """How a service's documents lie in their table.

    Attributes:
        table: it has `document_columns` and an index on (patient_id, deleted_at, day, key).
        key: the name of the id's column.
        day: the name of the column, and of the content's field, that lists are ordered by.
        load: a row's content.
        store: the columns of a content, those of `document_columns` aside.
        weigh: the most bytes a content can take in a message.
    """

    table: Table
    key: str
    day: str
    load: Callable[[Row[Any]], C]
    store: Callable[[C], Mapping[str, object]]
    weigh: Callable[[C], int]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Documents(Generic[C]):
    """One service's documents. Every method takes the seconds its caller grants, and raises what `Lane.run` does.

    Args:
        database: where they lie.
        shape: how they lie there.
        now: the time, in UTC.
    """

    def __init__(self, database: Database, shape: Shape[C], now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._shape = shape
        self._now = now
        self._table = shape.table
        self._key: Column[int] = shape.table.c[shape.key]
        self._listing = Listing(shape.table, shape.key, shape.day)

    async def page(self, patient_id: int, limit: int, cursor: str, patience: float | None = None) -> Page[Document[C]]:
        """A patient's documents, newest first by (day, id).

        Raises:
            Invalid: the cursor is damaged or belongs to another list.
        """
        scope = f"{self._table.name}/{patient_id}"
        start = position_of(cursor, scope)

        async def work(connection: AsyncConnection) -> tuple[list[Document[C]], bool]:
            async def fetch(after: Position | None, most: int) -> list[Document[C]]:
                return [self._load(row) for row in await self._listing.after(connection, patient_id, after, most)]

            return await fill(fetch, self._place, self._weigh, start, limit)

        items, more = await self._database.read(work, patience)
        return Page(items, cursor_after(self._place(items[-1]), scope) if more else "")

    async def get(self, key: int, patient_id: int = 0, patience: float | None = None) -> Document[C]:
        """One document; 0 for any patient's. Raises NotFound, Deleted."""
        row = await self._database.read(lambda connection: self._find(connection, key, patient_id), patience)
        return self._load(row)

    async def add(self, content: C, who: str, patience: float | None = None) -> Document[C]:
        """Writes a new document. Raises SourceTaken, IdsExhausted."""

        async def work(connection: AsyncConnection) -> Document[C]:
            await self._refuse_taken_source(connection, content.source_id)
            now = self._now()
            values = {**self._columns(content), "version": 1, "created_at": now, "updated_at": now, "updated_by": who}
            result = await connection.execute(insert(self._table).values(values))
            (key,) = result.inserted_primary_key or (0,)
            if key > LARGEST_ID:
                raise IdsExhausted
            return Document(key, content, 1, now, now, who)

        return await self._database.write(work, patience)

    async def replace(self, key: int, change: Callable[[C], C], who: str, patience: float | None = None) -> Document[C]:
        """Writes the next version of a document.

        Args:
            key: its id.
            change: makes the new content out of the stored one, or raises Invalid.
            who: the principal.
            patience: seconds.

        Raises:
            NotFound, Deleted: it is not there.
        """

        async def work(connection: AsyncConnection) -> Document[C]:
            stored = self._load(await self._find(connection, key, 0, to_write=True))
            content = change(stored.content)
            version, now = stored.version + 1, self._now()
            values = {**self._columns(content), "version": version, "updated_at": now, "updated_by": who}
            await connection.execute(update(self._table).where(self._key == key).values(values))
            return Document(key, content, version, stored.created_at, now, who)

        return await self._database.write(work, patience)

    async def delete(self, key: int, patient_id: int, who: str, patience: float | None = None) -> Document[C]:
        """Hides a document for good; 0 for any patient's. Raises NotFound, Deleted. Returns what was hidden."""

        async def work(connection: AsyncConnection) -> Document[C]:
            stored = self._load(await self._find(connection, key, patient_id, to_write=True))
            version, now = stored.version + 1, self._now()
            values = {"version": version, "updated_at": now, "updated_by": who, "deleted_at": now}
            await connection.execute(update(self._table).where(self._key == key).values(values))
            return Document(key, stored.content, version, stored.created_at, now, who)

        return await self._database.write(work, patience)

    async def _find(
        self, connection: AsyncConnection, key: int, patient_id: int, *, to_write: bool = False
    ) -> Row[Any]:
        query = select(self._table).where(self._key == key)
        # SQLite has no FOR UPDATE and needs none: its writers have the lock from BEGIN IMMEDIATE on.
        row = (await connection.execute(query.with_for_update() if to_write else query)).one_or_none()
        if row is None or (patient_id and row.patient_id != patient_id):
            raise NotFound(key)
        if row.deleted_at is not None:
            raise Deleted(key)
        return row

    async def _refuse_taken_source(self, connection: AsyncConnection, source_id: str) -> None:
        if source_id:
            query = select(self._key, self._table.c.patient_id).where(self._table.c.source_id == source_id)
            holder = (await connection.execute(query)).one_or_none()
            if holder is not None:
                raise SourceTaken(holder[0], holder[1])

    def _columns(self, content: C) -> dict[str, object]:
        return {
            **self._shape.store(content),
            "patient_id": content.patient_id,
            "source_id": content.source_id or None,
        }

    def _place(self, document: Document[C]) -> Position:
        return Position(getattr(document.content, self._shape.day), document.key)

    def _weigh(self, document: Document[C]) -> int:
        return self._shape.weigh(document.content)

    def _load(self, row: Row[Any]) -> Document[C]:
        key = row._mapping[self._key]  # noqa: SLF001  # its public name
        return Document(key, self._shape.load(row), row.version, row.created_at, row.updated_at, row.updated_by)
