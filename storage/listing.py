"""A patient's documents in their order, read from an index however far down the list they are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Index, Row, Select, Table, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.pages import Position

Rows = Select[tuple[Any, ...]]


class Ranges(NamedTuple):
    """Ranges of an index, newest first. Made once: to build such a statement takes about as long as to run it."""

    whole: Rows
    same_day: Rows
    earlier: Rows


class Listing:
    """What is not hidden, newest first by (day, id).

    Args:
        table: each of its indexes on (patient_id, deleted_at, …, day, key) is for lists by the columns between.
        key: the name of the id's column.
        day: the name of the day's column.
    """

    def __init__(self, table: Table, key: str, day: str) -> None:
        self._ranges: dict[frozenset[str], Ranges] = {}
        for index in table.indexes:
            match index.columns.keys():
                case ["patient_id", "deleted_at", *only, by, last] if (by, last) == (day, key):
                    self._ranges[frozenset(only)] = _ranges(table, index, only, table.c[day], table.c[key])

    async def after(
        self,
        connection: AsyncConnection,
        patient_id: int,
        only: Mapping[str, str],
        position: Position | None,
        most: int,
    ) -> Sequence[Row[Any]]:
        """At most so many rows, `only` those with these values, after a position; None for the beginning."""
        ranges, values = self._ranges[frozenset(only)], {"patient_id": patient_id, "most": most, **only}
        if position is None:
            return (await connection.execute(ranges.whole, values)).all()
        values |= position._asdict()
        rows = list((await connection.execute(ranges.same_day, values)).all())
        if len(rows) < most:
            rows += (await connection.execute(ranges.earlier, values | {"most": most - len(rows)})).all()
        return rows


def _ranges(table: Table, index: Index, only: Sequence[str], day: Column[str], key: Column[int]) -> Ranges:
    listed = [table.c[name] == bindparam(name) for name in ("patient_id", *only)]

    def rows(*where: ColumnElement[bool]) -> Rows:
        query = select(table).where(*listed, table.c.deleted_at.is_(None), *where)
        query = query.order_by(day.desc(), key.desc()).limit(bindparam("most"))
        # Else MariaDB takes only the patient from the index, and passes over all rows before the position.
        return query.with_hint(table, f"FORCE INDEX ({index.name})", "mysql")

    # Two ranges after a position: MySQL does not seek by (day, id) < (…, …), nor does SQLite where the id is the rowid.
    return Ranges(rows(), rows(day == bindparam("day"), key < bindparam("key")), rows(day < bindparam("day")))
