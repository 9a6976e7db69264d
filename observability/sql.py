"""Spans of SQL statements: named by operation and table, never by text or parameters."""

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span

from mesh.events import whence
from observability.current import current_tracer

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncEngine

_OPERATIONS = frozenset({"BEGIN", "DELETE", "INSERT", "PRAGMA", "REPLACE", "SELECT", "SET", "SHOW", "UPDATE"})


def trace_sql(engine: "AsyncEngine") -> None:
    """Makes a client span of each statement that is executed while a recorded request is handled.

    A statement outside of any request (a migration, a probe) makes none.
    """
    # Only those who have an engine need SQLAlchemy.
    from sqlalchemy import event

    event.listen(engine.sync_engine, "before_cursor_execute", _before)
    event.listen(engine.sync_engine, "after_cursor_execute", _after)
    event.listen(engine.sync_engine, "handle_error", _failed)


def _before(conn: "Connection", _cursor: Any, statement: str, parameters: Any, execution: Any, many: bool) -> None:  # noqa: FBT001  # SQLAlchemy's signature
    tracer = current_tracer()
    if tracer is None or not get_current_span().is_recording():
        return
    operation, table = _words(statement, execution)
    name = f"{operation} {table}".strip()
    attributes = {"db.system.name": conn.dialect.name, "db.operation.name": operation, "db.query.summary": name}
    if table:
        attributes["db.collection.name"] = table
    span = tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False)
    if many and len(parameters) > 1:
        span.set_attribute("db.operation.batch.size", len(parameters))
    execution.caremesh_span = span


def _after(_conn: Any, _cursor: Any, _statement: str, _parameters: Any, execution: Any, _many: bool) -> None:  # noqa: FBT001
    span = _taken(execution)
    if span:
        span.end()


def _failed(failure: "ExceptionContext") -> None:
    span = _taken(failure.execution_context)
    if not span:
        return
    # Its text holds the statement and the parameters, and drivers quote values; so only its type and place.
    error = failure.original_exception
    span.set_attribute("error.type", type(error).__qualname__)
    span.add_event("exception", {"exception.type": type(error).__qualname__, "caremesh.whence": whence(error)})
    span.set_status(Status(StatusCode.ERROR))
    span.end()


def _taken(execution: Any) -> Span | None:
    span: Span | None = getattr(execution, "caremesh_span", None)
    if span is not None:
        execution.caremesh_span = None
    return span


def _words(statement: str, execution: Any) -> tuple[str, str]:
    """The operation and the table. The table comes from the compiled construct, since a text may hold values."""
    first = statement.lstrip()[:10].partition(" ")[0].upper()
    operation = first if first in _OPERATIONS else "SQL"
    compiled = getattr(execution, "compiled", None)
    if compiled is None:
        return operation, ""
    if not hasattr(compiled, "caremesh_table"):  # SQLAlchemy keeps what it compiled; so is this found once
        compiled.caremesh_table = _table(compiled.statement)
    return operation, compiled.caremesh_table


def _table(construct: Any) -> str:
    table = getattr(construct, "table", None)  # of INSERT, UPDATE, DELETE
    if table is None:
        froms = construct.get_final_froms() if hasattr(construct, "get_final_froms") else ()
        table = froms[0] if froms else None
    return str(getattr(table, "name", ""))
