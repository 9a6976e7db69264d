"""A patient's documents in their order, read from an index however far down the list they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.pages import Position


class Listing:
    """What is not hidden, newest first by (day, id).

    Args:
        table: it has an index on (patient_id, deleted_at, day, key), and one with a filter's columns before the day.
        key: the name of the id's column.
        day: the name of the day's column.
    """

    def __init__(self, table: Table, key: str, day: str) -> None:
        self._table = table
        self._key: Column[int] = table.c[key]
        self._day: Column[str] = table.c[day]
        self._indexes = {tuple(index.columns.keys()): f"FORCE INDEX ({index.name})" for index in table.indexes}

    async def after(
        self,
        connection: AsyncConnection,
        patient_id: int,
        only: Mapping[str, str],
        position: Position | None,
        most: int,
    ) -> Sequence[Row[Any]]:
        """At most so many rows, `only` those with these values, after a position; None for the beginning."""
        listed = [self._table.c.patient_id == patient_id, self._table.c.deleted_at.is_(None)]
        listed += [self._table.c[name] == value for name, value in only.items()]
        if position is None:
            return await self._rows(connection, listed, only, most)
        # Two ranges of the index, since MySQL does not seek by (day, id) < (…, …).
        same_day = [*listed, self._day == position.day, self._key < position.key]
        rows = list(await self._rows(connection, same_day, only, most))
        if len(rows) < most:
            rows += await self._rows(connection, [*listed, self._day < position.day], only, most - len(rows))
        return rows

    async def _rows(
        self, connection: AsyncConnection, listed: Sequence[ColumnElement[bool]], only: Mapping[str, str], most: int
    ) -> Sequence[Row[Any]]:
        query = select(self._table).where(*listed).order_by(self._day.desc(), self._key.desc()).limit(most)
        # Else MariaDB takes only the patient from the index, and passes over all rows before the position.
        index = self._indexes["patient_id", "deleted_at", *sorted(only), self._day.name, self._key.name]
        return (await connection.execute(query.with_hint(self._table, index, "mysql"))).all()
