"""What became of letters, for people: of one prescription, of all; and what people decide about one."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database
from storage.errors import NotFound
from storage.pages import Page, Position, cursor_after, fill, position_of
from storage.shape import utc_now
from svc_prescriptions.outbox import byhand
from svc_prescriptions.outbox.delivery import Delivery, State
from svc_prescriptions.outbox.intents import Present
from svc_prescriptions.outbox.rows import WITH_RECIPIENT, delivery, held_of, present_of, save
from svc_prescriptions.tables import deliveries, prescriptions

WEIGHT = 2048  # more bytes than one takes in a message


Decide = Callable[[Delivery, Present, Collection[Delivery]], Delivery]


class Deliveries:
    """Those of one database.

    Args:
        database: the prescriptions'.
        now: the time, in UTC.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] = utc_now) -> None:
        self._database, self._now = database, now

    async def page(
        self, key: int, patient_id: int, limit: int, cursor: str, patience: float | None = None
    ) -> Page[Delivery]:
        """The deliveries of a prescription, newest first; of a deleted one, too. Patient 0 for any patient's.

        Raises:
            NotFound: it never was, or is another patient's.
            Invalid: the cursor is damaged or belongs to another list.
        """
        scope = f"{deliveries.name}/{key}"
        start = position_of(cursor, scope)

        async def work(connection: AsyncConnection) -> tuple[list[Delivery], bool]:
            await _refuse_unknown(connection, key, patient_id)

            async def fetch(after: Position | None, most: int) -> list[Delivery]:
                return await _before(connection, key, after, most)

            return await fill(fetch, _place, lambda _: WEIGHT, start, limit)

        items, more = await self._database.read(work, patience)
        return Page(items, cursor_after(_place(items[-1]), scope) if more else "")

    async def counts(self, of: int = 0) -> Mapping[State, int]:
        """How many there are in each state; `of` a prescription, 0 for all."""
        query = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
        if of:
            query = query.where(deliveries.c.prescription_id == of)
        found = await self._database.read(lambda connection: connection.execute(query))
        return {State(state): number for state, number in found.all()}

    async def oldest(self, states: Collection[State], most: int | None, of: int = 0) -> Sequence[Delivery]:
        """Those in these states, the oldest first, at most so many, None for all; `of` a prescription, 0 for all."""
        query = WITH_RECIPIENT.where(deliveries.c.state.in_(states)).order_by(deliveries.c.delivery_id).limit(most)
        if of:
            query = query.where(deliveries.c.prescription_id == of)
        found = await self._database.read(lambda connection: connection.execute(query))
        return [delivery(row) for row in found.all()]

    async def get(self, delivery_id: int) -> Delivery:
        """One of them. Raises NotFound."""
        return await self._database.read(lambda connection: _get(connection, delivery_id))

    async def arrived(self, delivery_id: int) -> Delivery:
        """An uncertain one has arrived, a person says. Raises NotFound, Refused."""
        return await self._decide(delivery_id, lambda one, _present, _mine: byhand.arrived(one))

    async def resend(self, delivery_id: int) -> Delivery:
        """An uncertain one is to be sent again, a person says. Raises NotFound, Refused."""
        now = self._now()
        return await self._decide(delivery_id, lambda one, present, mine: byhand.resend(one, present, mine, now))

    async def replay(self, delivery_id: int, *, again: bool = False) -> Delivery:
        """One is to be sent now, a person says; `again`: though it may have arrived. Raises NotFound, Refused."""
        now = self._now()
        return await self._decide(
            delivery_id, lambda one, present, mine: byhand.replay(one, present, mine, now, again=again)
        )

    async def _decide(self, delivery_id: int, decide: Decide) -> Delivery:
        async def work(connection: AsyncConnection) -> Delivery:
            key = (await _get(connection, delivery_id)).prescription_id
            mine = await held_of(connection, [key])
            (one,) = [one for one in mine if one.delivery_id == delivery_id]
            decided = decide(one, (await present_of(connection, [key]))[key], mine)
            await save(connection, decided, self._now())
            return decided

        return await self._database.write(work)


async def _get(connection: AsyncConnection, delivery_id: int) -> Delivery:
    row = (await connection.execute(WITH_RECIPIENT.where(deliveries.c.delivery_id == delivery_id))).one_or_none()
    if row is None:
        raise NotFound(delivery_id)
    return delivery(row)


async def _refuse_unknown(connection: AsyncConnection, key: int, patient_id: int) -> None:
    whose = select(prescriptions.c.patient_id).where(prescriptions.c.prescription_id == key)
    patient = (await connection.execute(whose)).scalar_one_or_none()
    if patient is None or patient_id not in (0, patient):
        raise NotFound(key)


async def _before(connection: AsyncConnection, key: int, position: Position | None, most: int) -> list[Delivery]:
    query = WITH_RECIPIENT.where(deliveries.c.prescription_id == key).order_by(deliveries.c.delivery_id.desc())
    if position is not None:
        query = query.where(deliveries.c.delivery_id < position.key)
    return [delivery(row) for row in (await connection.execute(query.limit(most))).all()]


def _place(one: Delivery) -> Position:
    return Position(one.created_at.date().isoformat(), one.delivery_id)
