"""A patient's documents in their order, read from an index however far down the list they are."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Index,
    Row,
    Select,
    Table,
    bindparam,
    literal,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.pages import Position

Rows = Select[tuple[Any, ...]]


class Ranges(NamedTuple):
    """Ranges of an index, newest first. Made once: to build such a statement takes about as long as to run it."""

    whole: Rows
    same_day: Rows
    earlier: Rows


class Wanted(NamedTuple):
    """The beginning of a patient's list, at most so many rows."""

    patient_id: int
    most: int
    only: Mapping[str, str]


class Listing:
    """What is not hidden, newest first by (day, id).

    Args:
        table: each of its indexes on (patient_id, deleted_at, …, day, key) is for lists by the columns between.
        key: the name of the id's column.
        day: the name of the day's column.
    """

    def __init__(self, table: Table, key: str, day: str) -> None:
        self._day, self._key = day, key
        self._ranges: dict[frozenset[str], Ranges] = {}
        self._indexes: dict[frozenset[str], Callable[[str], Ranges]] = {}
        self._together: dict[tuple[frozenset[str], int], CompoundSelect[tuple[Any, ...]]] = {}
        for index in table.indexes:
            match index.columns.keys():
                case ["patient_id", "deleted_at", *only, by, last] if (by, last) == (day, key):
                    made = partial(_ranges, table, index, only, table.c[day], table.c[key])
                    self._indexes[frozenset(only)], self._ranges[frozenset(only)] = made, made()

    async def beginnings(self, connection: AsyncConnection, wanted: Sequence[Wanted]) -> list[list[Row[Any]]]:
        """What `after` would give for each of them from its beginning, by one statement. All are `only` of one kind."""
        values = {
            f"{name}_{which}": value
            for which, each in enumerate(wanted)
            for name, value in {"patient_id": each.patient_id, "most": each.most, **each.only}.items()
        }
        query = self._beginning(frozenset(wanted[0].only), len(wanted))
        found: list[list[Row[Any]]] = [[] for _ in wanted]
        for row in await connection.execute(query, values):
            found[row.which].append(row)
        for rows in found:
            rows.sort(key=lambda row: (getattr(row, self._day), getattr(row, self._key)), reverse=True)
        return found

    def _beginning(self, only: frozenset[str], count: int) -> CompoundSelect[tuple[Any, ...]]:
        query = self._together.get((only, count))
        if query is None:
            whole = [self._indexes[only](f"_{which}").whole for which in range(count)]
            query = self._together[only, count] = _together(whole)
        return query

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


def _together(ranges: Sequence[Rows]) -> CompoundSelect[tuple[Any, ...]]:
    """The beginnings of several lists in one statement; `which` tells them apart."""
    parts = []
    for which, range_ in enumerate(ranges):
        rows = range_.subquery()
        parts.append(select(rows, literal(which).label("which")))
    return union_all(*parts)


def _ranges(
    table: Table, index: Index, only: Sequence[str], day: Column[str], key: Column[int], suffix: str = ""
) -> Ranges:
    """`suffix` is that of the parameters' names."""
    listed = [table.c[name] == bindparam(name + suffix) for name in ("patient_id", *only)]

    def rows(*where: ColumnElement[bool]) -> Rows:
        query = select(table).where(*listed, table.c.deleted_at.is_(None), *where)
        query = query.order_by(day.desc(), key.desc()).limit(bindparam("most" + suffix))
        # Else MariaDB takes only the patient from the index, and passes over all rows before the position.
        return query.with_hint(table, f"FORCE INDEX ({index.name})", "mysql")

    # Two ranges after a position: MySQL does not seek by (day, id) < (…, …), nor does SQLite where the id is the rowid.
    return Ranges(rows(), rows(day == bindparam("day"), key < bindparam("key")), rows(day < bindparam("day")))
