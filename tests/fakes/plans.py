"""How a database goes about the statements that a read really makes."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database


class Plan(NamedTuple):
    """A SELECT, and what EXPLAIN says of it: the text of SQLite, or MariaDB's "type key extra"."""

    statement: str
    told: str

    def at_its_place(self, index: str, day: str) -> bool:
        """Is it read from the index alone, in its order, from its place on: nothing sorted, nothing passed over?"""
        from_the_day = f".{day} <" in self.statement or f".{day} =" in self.statement
        if "SEARCH" in self.told:
            right = f"USING INDEX {index} (" in self.told and "TEMP B-TREE" not in self.told
            return right and (not from_the_day or f"{day}<?" in self.told or f"{day}=?" in self.told)
        kinds = ("range",) if from_the_day else ("range", "ref")
        return self.told.startswith(tuple(f"{kind} {index} " for kind in kinds)) and "filesort" not in self.told


async def plans_of(database: Database, read: Callable[[], Awaitable[object]]) -> list[Plan]:
    """The plans of all SELECTs that `read` makes."""
    _, engine = database.engines
    made: list[tuple[str, Any]] = []

    def listen(_connection: object, _cursor: object, statement: str, parameters: Any, *_others: object) -> None:
        made.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", listen)
    await read()
    event.remove(engine.sync_engine, "before_cursor_execute", listen)

    async def explain(connection: AsyncConnection) -> list[Plan]:
        selects = [each for each in made if each[0].startswith("SELECT")]
        return [Plan(statement, await _explained(connection, statement, values)) for statement, values in selects]

    return await database.read(explain)


async def _explained(connection: AsyncConnection, statement: str, parameters: Any) -> str:
    if connection.dialect.name == "sqlite":
        steps = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "; ".join(step.detail for step in steps.all())
    steps = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return "; ".join(f"{step.type} {step.key} {step.Extra}" for step in steps.all())
