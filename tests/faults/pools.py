"""Whether a database's pools are whole, and what it leaves behind."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database
from storage.errors import Unavailable
from tests.fakes.waiting import until
from tests.faults.questions import echo

Connections = Callable[[], int | None]
"""How many connections the database has at the moment; None where it cannot tell."""
SEAT = 1
"""The connection, beside the pools, by which a server's users see that somebody serves."""


class Pools:
    """Counts a database's connections from now on.

    Attributes:
        size: so many connections the pools can have.
        opened: so many were opened, those from before included.
        thrown_away: so many were closed or invalidated.
    """

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database, self._connections = database, connections
        self._pools: list[Any] = [engine.sync_engine.pool for engine in database.engines]
        self.size = sum(pool.size() for pool in self._pools)
        self.opened = sum(pool.checkedin() for pool in self._pools)
        self.thrown_away = 0
        for pool in self._pools:
            event.listen(pool, "connect", self._open)
            for name in ("close", "invalidate"):
                event.listen(pool, name, self._throw_away)

    async def wrong(self) -> list[str]:
        """What is not whole once nobody calls any more."""
        found = list[str]()
        lanes = (self._database.write, self._database.read)
        try:
            await until(lambda: not self._in_use(), 10)
            for lane, pool in zip(lanes, self._pools, strict=True):
                if not await _all_at_once(lane, pool.size()):
                    found.append("a connection answered another's question")
        except (TimeoutError, Unavailable) as error:
            found.append(f"of {self.size} connections {self._in_use()} are in use by nobody: {error!r}")
        if self.thrown_away:
            found.append(f"{self.thrown_away} connections were thrown away")
        if self.opened != self.size or self._connections() not in {None, self.size + SEAT}:
            found.append(f"{self.opened} of {self.size} connections were opened, of them open: {self._connections()}")
        return found

    def _in_use(self) -> int:
        return sum(pool.checkedout() for pool in self._pools)

    def _open(self, *_others: object) -> None:
        self.opened += 1

    def _throw_away(self, *_others: object) -> None:
        self.thrown_away += 1


async def _all_at_once(lane: Callable[..., Awaitable[str]], size: int) -> bool:
    """Whether a lane has all its connections, at the same moment, and each answers its own question."""
    barrier = asyncio.Barrier(size)

    async def work(words: str, connection: AsyncConnection) -> str:
        await barrier.wait()
        return await echo(words, connection)

    asked = [f"connection {number}" for number in range(size)]
    return await asyncio.gather(*(lane(partial(work, words), 10) for words in asked)) == asked


async def left(threads: int, connections: Connections) -> list[str]:
    """What a closed database has left behind, of connections, of tasks and of threads above so many."""
    found = list[str]()
    try:
        await until(lambda: threading.active_count() <= threads and not connections(), 10)
    except TimeoutError:
        found.append(f"{threading.active_count() - threads} threads or {connections()} connections are left")
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return [*found, *(f"a task is left: {task.get_coro()}" for task in tasks)]
