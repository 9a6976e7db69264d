"""Who serves from a database on a server, seen by every user of that server.

A server tells one user of another's connections only with the privilege PROCESS, but of its locks anybody. These are
exclusive, so there are many: each replica holds one of them, its seat, and who must find nobody there takes them all.
"""

import asyncio
import random
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.address import MysqlPlace
from storage.errors import CopyRefused
from storage.lane import Lane
from storage.occupied import lock_name

SEATS = 100
PATIENCE = 2.0  # seconds for connections that were just closed
LOOK_AGAIN = 0.05  # seconds
OTHERS = text("SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
NO_SEAT = "a copy is being put back into the database; start when that is done"
SIT = text("SELECT IF(IS_USED_LOCK(:name) = CONNECTION_ID(), 1, GET_LOCK(:name, 0))")


class Seat:
    """A replica's seat. A lock ends with its connection, so it is kept by asking for it again and again.

    Args:
        place: the database.
        lane: of one connection to it, for nothing else.
    """

    def __init__(self, place: MysqlPlace, lane: Lane) -> None:
        self._lane = lane
        self._wanted = random.sample(_names(place), SEATS)  # so that replicas rarely want the same one

    async def keep(self, patience: float | None = None) -> None:
        """Takes a seat unless its connection has one. Raises CopyRefused when there is none, and as `Lane.run`."""
        await self._lane.run(self._sit, patience)

    async def _sit(self, connection: AsyncConnection) -> None:
        for name in self._wanted:
            if (await connection.execute(SIT.bindparams(name=name))).scalar_one() == 1:
                return
        raise CopyRefused(NO_SEAT)

    async def close(self, grace: float) -> None:
        """Leaves it; see `Lane.close`."""
        await self._lane.close(grace)


async def all_seats(connection: AsyncConnection, place: MysqlPlace) -> None:
    """Takes every seat of a database: nobody serves from it while this connection lasts, nor begins to.

    Raises:
        CopyRefused: somebody has a seat, or is connected in another way that this user can see.
    """
    ends = asyncio.get_running_loop().time() + PATIENCE
    asked = text(f"SELECT {' + '.join(map(_taking, _names(place)))}")
    while (await connection.execute(asked)).scalar_one() < SEATS or (await connection.execute(OTHERS)).scalar_one():
        if asyncio.get_running_loop().time() > ends:
            raise CopyRefused("others use the database; stop all replicas of the service first")
        await asyncio.sleep(LOOK_AGAIN)


def _names(place: MysqlPlace) -> Sequence[str]:
    return [f"{lock_name(place)}.{number}" for number in range(SEATS)]


def _taking(name: str) -> str:
    return f"GET_LOCK('{name}', 0)"
