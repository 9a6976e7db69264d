"""What became of letters, for people: of one prescription, of all; and what people decide about one."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database
from storage.errors import NotFound
from storage.pages import Page, Position, cursor_after, fill, position_of
from svc_prescriptions.outbox.delivery import Delivery
from svc_prescriptions.outbox.rows import WITH_RECIPIENT, delivery
from svc_prescriptions.tables import deliveries, prescriptions

WEIGHT = 2048  # more bytes than one takes in a message


class Deliveries:
    """Those of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
