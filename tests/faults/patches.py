"""Defects that a hand may slip in, as patches: each into one module, here for a while or in a real process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

Put = Callable[[Any, str, Any], None]
"""Sets an attribute, as `setattr` does; in a test it is undone afterwards."""


@dataclass(frozen=True)
class Patch:
    """Which module it goes into, and what does it."""

    module: str
    plant: Callable[[ModuleType, Put], None]

    @property
    def name(self) -> str:
        """What it is called here."""
        return self.plant.__name__


def into(module: str) -> Callable[[Callable[[Any, Put], None]], Patch]:
    """Makes a patch of a function that is given this module and the means to change it."""
    return partial(Patch, module)


@into("storage.keys")
def no_key_table(keys: Any, put: Put) -> None:
    """Keys are neither looked for nor kept."""

    async def once(_self: Any, _connection: Any, _once: Any, make: Any, _now: Any) -> Any:
        return await make()

    put(keys.Keys, "once", once)


@into("storage.documents")
def key_outside_the_transaction(documents: Any, put: Put) -> None:
    """The key and its answer are kept when the write has been committed."""

    async def write(self: Any, make: Any, patience: Any, once: Any) -> Any:
        async def work(connection: Any) -> Any:
            if once:
                await self._keys._look(connection, once)
            return await make(connection)

        made = await self._database.write(work, patience)

        async def keep(connection: Any) -> None:
            await self._keys.once(connection, once, already, self._now())

        async def already() -> Any:
            return made

        await self._database.write(keep, patience)
        return made

    put(documents.Documents, "_write", write)


@into("storage.documents")
def version_check_dropped(documents: Any, put: Put) -> None:
    """`If-Match` is not looked at."""
    stored = documents.Documents._stored

    async def any_version(self: Any, connection: Any, key: int, patient_id: int, _if_version: int) -> Any:
        return await stored(self, connection, key, patient_id, 0)

    put(documents.Documents, "_stored", any_version)


@into("storage.documents")
def history_outside_the_transaction(documents: Any, put: Put) -> None:
    """A version is remembered when the write has been committed."""
    remember, write = documents.History.remember, documents.Documents._write

    async def later(_self: Any, _connection: Any, _key: int) -> None:
        return

    async def write_and_remember(self: Any, make: Any, patience: Any, once: Any) -> Any:
        made = await write(self, make, patience, once)
        await self._database.write(lambda connection: remember(self._history, connection, made.key), patience)
        return made

    put(documents.History, "remember", later)
    put(documents.History, "remember_stored", later)  # it would close the gap with the next write
    put(documents.Documents, "_write", write_and_remember)


@into("storage.sqlite")
def begin_takes_no_lock(sqlite: Any, put: Put) -> None:
    """Writers begin with BEGIN instead of BEGIN IMMEDIATE."""
    engine = sqlite._engine
    put(sqlite, "_engine", lambda file, **options: engine(file, **{**options, "begin": "BEGIN"}))


@into("storage.lane")
def commit_ignored(lane: Any, put: Put) -> None:
    """The caller is told of success, and the transaction is not committed."""

    async def forget(transaction: Any) -> None:
        await transaction.rollback()

    put(lane, "_commit", forget)


@into("storage.sqlite")
def synchronous_off(sqlite: Any, put: Put) -> None:
    """Nothing is synced, and the check at the start that would tell is off too."""
    engine = sqlite._engine

    def unsynced(file: Any, *, pragmas: Any, **options: Any) -> Any:
        return engine(file, pragmas=(*pragmas, "synchronous=OFF"), **options)

    put(sqlite, "_engine", unsynced)
    put(sqlite, "NEEDED", {})


@into("storage.keys")
def answer_not_stored(keys: Any, put: Put) -> None:
    """A key is kept without the answer that belongs to it."""
    once = keys.Keys.once

    async def without(self: Any, connection: Any, asked: Any, make: Any, now: Any) -> Any:
        return await once(self, connection, replace(asked, tell=lambda _: b"") if asked else None, make, now)

    put(keys.Keys, "once", without)


@into("storage.documents")
def delete_removes(documents: Any, put: Put) -> None:
    """A deleted document's row is removed."""
    following = documents.Documents._next

    async def removing(
        self: Any, connection: Any, stored: Any, content: Any, who: str, changes: Any, *, hides: bool = False
    ) -> Any:
        made = await following(self, connection, stored, content, who, changes, hides=hides)
        if hides:
            await connection.execute(self._table.delete().where(self._key == stored.key))
        return made

    put(documents.Documents, "_next", removing)


@into("storage.ddl")
def migration_not_guarded(ddl: Any, put: Put) -> None:
    """What a migration has done it does again."""

    def copy(source: str, target: str, columns: list[str], _identity: list[str]) -> None:
        here, there = (ddl.sa.table(name, *map(ddl.sa.column, columns)) for name in (source, target))
        ddl.op.execute(ddl.sa.insert(there).from_select(columns, ddl.sa.select(*here.columns)))

    put(ddl, "copy_missing", copy)


@into("storage.documents")
def cursor_by_offset(documents: Any, put: Put) -> None:
    """A cursor says how many rows were shown, and not after which one to go on."""

    async def page(
        self: Any, patient_id: int, limit: int, cursor: str, patience: Any = None, *, only: Mapping[str, str] = {}
    ) -> Any:
        shown = int(cursor or 0)

        async def work(connection: Any) -> Any:
            rows = await self._listing.after(connection, patient_id, only, None, shown + limit + 1)
            return [self._shape.document(row) for row in rows[shown:]]

        found = await self._database.read(work, patience)
        return documents.Page(found[:limit], str(shown + limit) if len(found) > limit else "")

    put(documents.Documents, "page", page)
