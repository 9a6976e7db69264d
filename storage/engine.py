"""The engines of a database, whatever its kind."""

from collections.abc import Collection

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage import mysql, sqlite
from storage.address import SqlitePlace, place_of
from storage.mysql_checks import unfit_now

PUT_BACK = "name the service's own database, or an empty one and put a backup back into it (`caremesh restore DIR`)"


def writing_engine(address: str, connections: int) -> AsyncEngine:
    """For transactions that change something. SQLite has one writer, so one connection. Raises AddressError."""
    place = place_of(address)
    if isinstance(place, SqlitePlace):
        return sqlite.writing_engine(place.file)
    return mysql.writing_engine(place, connections)


def reading_engine(address: str, connections: int) -> AsyncEngine:
    """For transactions that see one moment of the database and change nothing. Raises AddressError."""
    place = place_of(address)
    if isinstance(place, SqlitePlace):
        return sqlite.reading_engine(place.file, connections)
    return mysql.reading_engine(place, connections)


async def unfit(writer: AsyncConnection, tables: Collection[str]) -> list[str]:
    """What is wrong with a database, each with its remedy; asked by a writing connection.

    Args:
        writer: the connection.
        tables: the names of those that the asker uses.
    """
    found = await (sqlite.unfit(writer) if writer.dialect.name == "sqlite" else unfit_now(writer, tables))
    there = set(await writer.run_sync(lambda opened: inspect(opened).get_table_names()))
    return found + [f"the table {name} is missing; {PUT_BACK}" for name in sorted(set(tables) - there)]
