"""Idempotency keys: what was once done under a key is not done again, it is answered again.

The key's row is written in the write's own transaction: claimed before anything else, so that a copy of the same
request that runs at the same moment waits here and then reads the answer, and completed with the answer at the end.
A refusal rolls the claim back with the rest.
"""

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Generic, TypeVar

from sqlalchemy import Column, Index, MetaData, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.columns import MYSQL, PRINCIPAL_LENGTH, Moment, ascii_text, identity, long_text
from storage.database import Database
from storage.errors import KeyReused

KEY_LENGTH = 255
SCOPE_LENGTH = PRINCIPAL_LENGTH + 129  # a principal and the name of a method
HASH_BYTES = 32
BATCH = 200  # keys swept in one transaction, so that no write waits long for it

R = TypeVar("R")


def keys_table(metadata: MetaData) -> Table:
    """The table of a service's idempotency keys."""
    return Table(
        "idempotency_keys",
        metadata,
        Column("key_id", identity(), primary_key=True, autoincrement=True),
        Column("scope", ascii_text(SCOPE_LENGTH), nullable=False),
        Column("idempotency_key", ascii_text(KEY_LENGTH), nullable=False),
        Column("request_hash", ascii_text(2 * HASH_BYTES), nullable=False),
        # In base64: aiomysql 0.3.2 cannot send bytes with PyMySQL from 1.2.3 on (aio-libs/aiomysql#1080).
        Column("answer", long_text(), nullable=False),
        Column("made_at", Moment, nullable=False),
        Index("idempotency_keys_once", "scope", "idempotency_key", unique=True),
        Index("idempotency_keys_swept", "made_at"),
        **MYSQL,
    )


class Answered(Exception):
    """The same request was answered before; not a failure.

    Attributes:
        answer: as it was kept.
    """

    def __init__(self, answer: bytes) -> None:
        super().__init__("the request was answered before")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Once(Generic[R]):
    """A request that is to be done once, however often it comes.

    Attributes:
        scope: whose key it is: another principal's or method's is another key. At most SCOPE_LENGTH ASCII characters,
            the last of them no space.
        key: what the client calls the request, at most KEY_LENGTH ASCII characters.
        digest: of all that the request says; see `digest`.
        tell: the answer to keep.
    """

    scope: str
    key: str
    digest: str
    tell: Callable[[R], bytes]


def digest(request: bytes) -> str:
    """A request's hash. What was sent cannot be read from it."""
    return blake2b(request, digest_size=HASH_BYTES, person=b"caremesh.request").hexdigest()


class Keys:
    """The keys in their table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def once(
        self, connection: AsyncConnection, once: Once[R] | None, make: Callable[[], Awaitable[R]], now: datetime
    ) -> R:
        """What `make` makes, unless that was done before under this key; None for a request without one.

        Raises:
            Answered: it was done before.
            KeyReused: the key belongs to another request.
        """
        if once is None:
            return await make()
        await self._look(connection, once)
        claim = {"scope": once.scope, "idempotency_key": once.key, "request_hash": once.digest}
        values = {**claim, "answer": "", "made_at": now}
        claimed = await connection.execute(insert(self._table).values(values))
        (row,) = claimed.inserted_primary_key or (0,)
        made = await make()
        kept = update(self._table).where(self._table.c.key_id == row).values(answer=b64encode(once.tell(made)).decode())
        await connection.execute(kept)
        return made

    async def _look(self, connection: AsyncConnection, once: Once[R]) -> None:
        same = (self._table.c.scope == once.scope, self._table.c.idempotency_key == once.key)
        query = select(self._table.c.request_hash, self._table.c.answer).where(*same)
        found = (await connection.execute(query)).one_or_none()
        if found is not None and found.request_hash != once.digest:
            raise KeyReused("the idempotency key belongs to another request")
        if found is not None:
            raise Answered(b64decode(found.answer))


async def sweep(database: Database, table: Table, before: datetime, most: int) -> int:
    """Forgets the oldest keys made before a moment, at most so many. Returns how many."""
    oldest = select(table.c.key_id).where(table.c.made_at < before).order_by(table.c.made_at).limit(most)

    async def work(connection: AsyncConnection) -> int:
        ids = (await connection.execute(oldest)).scalars().all()
        if ids:
            await connection.execute(delete(table).where(table.c.key_id.in_(ids)))
        return len(ids)

    return await database.write(work)


async def sweep_all(database: Database, table: Table, now: datetime, kept: timedelta, batch: int = BATCH) -> int:
    """Forgets, batch by batch, every key that is older than `kept`. Returns how many."""
    total = last = await sweep(database, table, now - kept, batch)
    while last == batch:
        last = await sweep(database, table, now - kept, batch)
        total += last
    return total
