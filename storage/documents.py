"""Documents: rows that belong to a patient, have a day, and get a new version with every committed write.

A record and a prescription are documents. A service says how its documents lie in their tables (`Shape`);
how they are found, listed, written and hidden is the same for both and stands here.

The order within a write's transaction: its idempotency key, whether the document is there, its version, what the
domain says of the change; then the row, its version, what follows from it and the key's answer, all of it or nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple

from sqlalchemy import Column, Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.columns import LARGEST_ID
from storage.database import Database
from storage.errors import Deleted, IdsExhausted, NotFound, SourceTaken, VersionMismatch
from storage.failures import BUSY, unavailable
from storage.history import History
from storage.keys import Keys, Once
from storage.lane import PATIENCE, TO_ANSWER, Work
from storage.listing import Listing, Wanted
from storage.pages import CHUNK, Page, Position, cursor_after, fill, position_of
from storage.shape import C, Document, Shape, utc_now
from storage.together import Together

Patience = float | None
Follow = Callable[[AsyncConnection, Document[C]], Awaitable[None]]
ALL: Mapping[str, str] = {}
MOST_TOGETHER = 32
"""Pages by one statement."""


class Asked(NamedTuple):
    """One page of a patient's list."""

    patient_id: int
    limit: int
    cursor: str
    patience: Patience
    only: Mapping[str, str]


class Documents(Generic[C]):
    """One service's documents. Every method takes the seconds its caller grants, and raises what `Lane.run` does.

    Every write may be given an idempotency key (`once`), and then raises what `Keys.once` does. Those to a stored
    document may be given the version that it must be of (`if_version`, 0 for any), and then raise VersionMismatch.

    Args:
        database: where they lie.
        shape: how they lie there.
        now: the time, in UTC.
        follow: does, in the write's transaction, what follows from a version that it has made.
    """

    def __init__(
        self,
        database: Database,
        shape: Shape[C],
        now: Callable[[], datetime] = utc_now,
        follow: Follow[C] | None = None,
    ) -> None:
        self._database, self._shape, self._now, self._follow = database, shape, now, follow
        self._table = shape.table
        self._key: Column[int] = shape.table.c[shape.key]
        self._listing = Listing(shape.table, shape.key, shape.day)
        self._together: dict[frozenset[str], Together[Asked, Page[Document[C]]]] = {}
        self._history = History(shape)
        self._keys = Keys(shape.keys)

    async def page(
        self, patient_id: int, limit: int, cursor: str, patience: Patience = None, *, only: Mapping[str, str] = ALL
    ) -> Page[Document[C]]:
        """A patient's documents, newest first by (day, id); `only` those with these values in these columns.

        Raises:
            Invalid: the cursor is damaged or belongs to another list.
        """
        asked = Asked(patient_id, limit, cursor, patience, only)
        if cursor or limit >= CHUNK or (patience is not None and patience <= TO_ANSWER):
            return await self._page(asked)
        together = self._together.get(frozenset(only))
        if together is None:
            together = self._together[frozenset(only)] = Together(self._page, self._pages, MOST_TOGETHER)
        try:
            async with asyncio.timeout((PATIENCE if patience is None else patience) - TO_ANSWER):
                return await together.ask(asked)
        except TimeoutError:
            raise unavailable(BUSY) from None

    async def _page(self, asked: "Asked") -> Page[Document[C]]:
        scope = self._scope(asked)
        start = position_of(asked.cursor, scope)

        async def work(connection: AsyncConnection) -> tuple[list[Document[C]], bool]:
            async def fetch(after: Position | None, most: int) -> list[Document[C]]:
                rows = await self._listing.after(connection, asked.patient_id, asked.only, after, most)
                return [self._shape.document(row) for row in rows]

            return await fill(fetch, self._place, self._shape.weight, start, asked.limit)

        return self._paged(scope, *await self._database.read(work, asked.patience))

    async def _pages(self, asked: "Sequence[Asked]") -> list[Page[Document[C]]]:
        """The first pages of several lists, none of which needs more than one look."""
        wanted = [Wanted(each.patient_id, each.limit + 1, each.only) for each in asked]
        patience = max(PATIENCE if each.patience is None else each.patience for each in asked)
        found = await self._database.read(lambda reader: self._listing.beginnings(reader, wanted), patience)
        pages = []
        for each, rows in zip(asked, found, strict=True):
            documents = [self._shape.document(row) for row in rows]
            items, more = await fill(_given(documents), self._place, self._shape.weight, None, each.limit)
            pages.append(self._paged(self._scope(each), items, more))
        return pages

    def _scope(self, asked: "Asked") -> str:
        only = (f"{name}={asked.only[name]}" for name in sorted(asked.only))
        return "/".join([self._table.name, str(asked.patient_id), *only])

    def _paged(self, scope: str, items: list[Document[C]], more: bool) -> Page[Document[C]]:  # noqa: FBT001  # as `fill` has it
        return Page(items, cursor_after(self._place(items[-1]), scope) if more else "")

    async def get(self, key: int, patient_id: int = 0, patience: Patience = None) -> Document[C]:
        """One document; 0 for any patient's. Raises NotFound, Deleted."""
        row = await self._database.read(lambda connection: self._find(connection, key, patient_id), patience)
        return self._shape.document(row)

    async def history(
        self, key: int, patient_id: int, limit: int, cursor: str, patience: Patience = None
    ) -> Page[Document[C]]:
        """Every version of a document, the newest first; a deleted one's too. Patient 0 for any patient's.

        Raises:
            NotFound: it never was, or is another patient's.
            Invalid: the cursor is damaged or belongs to another list.
        """
        scope = f"{self._shape.versions.name}/{key}"
        start = position_of(cursor, scope)

        async def work(connection: AsyncConnection) -> tuple[list[Document[C]], bool]:
            await self._row(connection, key, patient_id)

            async def fetch(after: Position | None, most: int) -> list[Document[C]]:
                return [self._shape.document(row) for row in await self._history.after(connection, key, after, most)]

            return await fill(fetch, self._history.place, self._shape.weight, start, limit)

        items, more = await self._database.read(work, patience)
        return Page(items, cursor_after(self._history.place(items[-1]), scope) if more else "")

    async def add(
        self, content: C, who: str, patience: Patience = None, once: Once[Document[C]] | None = None
    ) -> Document[C]:
        """Writes a new document. Raises SourceTaken, IdsExhausted."""

        async def make(connection: AsyncConnection) -> Document[C]:
            await self._refuse_taken_source(connection, content.source_id)
            now = self._now()
            made = {"version": 1, "created_at": now, "updated_at": now, "updated_by": who}
            result = await connection.execute(insert(self._table).values({**self._shape.columns(content), **made}))
            (key,) = result.inserted_primary_key or (0,)
            if key > LARGEST_ID:
                raise IdsExhausted
            await self._history.remember(connection, key)
            return Document(key, content, 1, now, now, who)

        return await self._write(make, patience, once)

    async def replace(
        self,
        key: int,
        change: Callable[[C], C],
        who: str,
        patience: Patience = None,
        *,
        if_version: int = 0,
        once: Once[Document[C]] | None = None,
    ) -> Document[C]:
        """Writes the next version of a document.

        Args:
            key: its id.
            change: makes the new content out of the stored one, or raises Invalid or IllegalStep.
            who: the principal.
            patience: seconds.
            if_version: see the class.
            once: see the class.

        Raises:
            NotFound, Deleted: it is not there.
        """

        async def make(connection: AsyncConnection) -> Document[C]:
            stored = await self._stored(connection, key, 0, if_version)
            content = change(stored.content)
            return await self._next(connection, stored, content, who, self._shape.columns(content))

        return await self._write(make, patience, once)

    async def delete(
        self,
        key: int,
        patient_id: int,
        who: str,
        patience: Patience = None,
        *,
        if_version: int = 0,
        once: Once[Document[C]] | None = None,
    ) -> Document[C]:
        """Hides a document for good; 0 for any patient's. Raises NotFound, Deleted. Returns the version that hides."""

        async def make(connection: AsyncConnection) -> Document[C]:
            stored = await self._stored(connection, key, patient_id, if_version)
            return await self._next(connection, stored, stored.content, who, {}, hides=True)

        return await self._write(make, patience, once)

    async def _write(self, make: Work[Document[C]], patience: Patience, once: Once[Document[C]] | None) -> Document[C]:
        async def work(connection: AsyncConnection) -> Document[C]:
            return await self._keys.once(connection, once, lambda: self._made(connection, make), self._now())

        return await self._database.write(work, patience)

    async def _made(self, connection: AsyncConnection, make: Work[Document[C]]) -> Document[C]:
        made = await make(connection)
        if self._follow:
            await self._follow(connection, made)
        return made

    async def _stored(self, connection: AsyncConnection, key: int, patient_id: int, if_version: int) -> Document[C]:
        stored = self._shape.document(await self._find(connection, key, patient_id, to_write=True))
        if if_version not in (0, stored.version):
            raise VersionMismatch(key, stored.version, stored.content.patient_id)
        return stored

    async def _next(
        self,
        connection: AsyncConnection,
        stored: Document[C],
        content: C,
        who: str,
        changes: Mapping[str, object],
        *,
        hides: bool = False,
    ) -> Document[C]:
        version, now = stored.version + 1, self._now()
        stamps = {"version": version, "updated_at": now, "updated_by": who, **({"deleted_at": now} if hides else {})}
        await self._history.remember_stored(connection, stored.key)
        await connection.execute(update(self._table).where(self._key == stored.key).values({**changes, **stamps}))
        await self._history.remember(connection, stored.key)
        return Document(stored.key, content, version, stored.created_at, now, who, hides)

    async def _find(
        self, connection: AsyncConnection, key: int, patient_id: int, *, to_write: bool = False
    ) -> Row[Any]:
        row = await self._row(connection, key, patient_id, to_write=to_write)
        if row.deleted_at is not None:
            raise Deleted(key, row.patient_id)
        return row

    async def _row(self, connection: AsyncConnection, key: int, patient_id: int, *, to_write: bool = False) -> Row[Any]:
        query = select(self._table).where(self._key == key)
        # SQLite has no FOR UPDATE and needs none: its writers have the lock from BEGIN IMMEDIATE on.
        row = (await connection.execute(query.with_for_update() if to_write else query)).one_or_none()
        if row is None or (patient_id and row.patient_id != patient_id):
            raise NotFound(key)
        return row

    async def _refuse_taken_source(self, connection: AsyncConnection, source_id: str) -> None:
        if source_id:
            query = select(self._key, self._table.c.patient_id).where(self._table.c.source_id == source_id)
            holder = (await connection.execute(query)).one_or_none()
            if holder is not None:
                raise SourceTaken(holder[0], holder[1])

    def _place(self, document: Document[C]) -> Position:
        return Position(getattr(document.content, self._shape.day), document.key)


def _given(documents: Sequence[Document[C]]) -> Callable[[Position | None, int], Awaitable[Sequence[Document[C]]]]:
    async def fetch(_after: Position | None, _most: int) -> Sequence[Document[C]]:
        return documents

    return fetch
