"""Every version of every document. A version's row is a copy of the document's, made by the write that made it."""

from collections.abc import Sequence
from typing import Any, Generic

from sqlalchemy import Column, ColumnElement, Row, Table, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.columns import MYSQL
from storage.pages import Position
from storage.shape import C, Document, Shape


def versions_table(name: str, of: Table) -> Table:
    """The table of the versions of what lies in another: the same columns, one row a version, none ever changed."""
    (key,) = of.primary_key.columns
    columns: list[Column[Any]] = [
        Column(
            column.name,
            column.type,
            primary_key=column.name in {key.name, "version"},
            autoincrement=False,
            nullable=column.nullable,
        )
        for column in of.columns
    ]
    return Table(name, of.metadata, *columns, **MYSQL)


class History(Generic[C]):
    """The versions of one service's documents."""

    def __init__(self, shape: Shape[C]) -> None:
        self._shape = shape
        self._versions = shape.versions
        self._key: Column[int] = shape.versions.c[shape.key]

    async def remember(self, connection: AsyncConnection, key: int) -> None:
        """Keeps the version that this transaction has just made."""
        await self._copy(connection, self._shape.table.c[self._shape.key] == key)

    async def remember_stored(self, connection: AsyncConnection, key: int) -> None:
        """Keeps the version that is stored unless it is kept already: a program of before the histories made it."""
        table, there = self._shape.table, self._versions.alias()
        row = table.c[self._shape.key] == key
        kept = exists().where(there.c[self._shape.key] == table.c[self._shape.key], there.c.version == table.c.version)
        await self._copy(connection, row & ~kept)

    async def _copy(self, connection: AsyncConnection, which: ColumnElement[bool]) -> None:
        names = [column.name for column in self._versions.columns]
        made = select(*(self._shape.table.c[name] for name in names)).where(which)
        await connection.execute(insert(self._versions).from_select(names, made))

    async def after(
        self, connection: AsyncConnection, key: int, position: Position | None, most: int
    ) -> Sequence[Row[Any]]:
        """At most so many versions of a document before the one at a position, newest first; None for the newest."""
        query = select(self._versions).where(self._key == key).order_by(self._versions.c.version.desc()).limit(most)
        if position is not None:
            query = query.where(self._versions.c.version < position.key)
        return (await connection.execute(query)).all()

    def place(self, version: Document[C]) -> Position:
        """Where a version stands in its history: by its number alone."""
        return Position(getattr(version.content, self._shape.day), version.version)
