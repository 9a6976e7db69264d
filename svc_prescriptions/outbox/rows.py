"""Deliveries in their table. Whoever reads some to decide on them holds them until the transaction ends."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from svc_prescriptions.mailbox import MailboxError, transmitted
from svc_prescriptions.outbox.delivery import Delivery, Kind, State
from svc_prescriptions.outbox.intents import Present
from svc_prescriptions.tables import deliveries, prescription_versions, prescriptions

COLUMNS = [column.name for column in deliveries.columns]
FIXED = {"delivery_id", "prescription_id", "version", "created_at", "message_id", "traceparent"}
CHANGING = [name for name in COLUMNS if name not in FIXED]

WITH_RECIPIENT = select(deliveries, prescription_versions.c.mail_to).join(
    prescription_versions,
    (prescription_versions.c.prescription_id == deliveries.c.prescription_id)
    & (prescription_versions.c.version == deliveries.c.about),
)
OF = deliveries.c.prescription_id.in_(bindparam("keys", expanding=True))
ALL_OF = WITH_RECIPIENT.where(OF).order_by(deliveries.c.delivery_id).with_for_update()
NOW = prescriptions.c
PRESENT = select(NOW.prescription_id, NOW.status, NOW.mail_to, NOW.deleted_at).where(
    NOW.prescription_id.in_(bindparam("keys", expanding=True))
)
SAVE = (
    update(deliveries)
    .where(deliveries.c.delivery_id == bindparam("which"))
    .values({name: bindparam(name) for name in CHANGING})
)


def recipient_of(mail_to: str) -> str:
    """Whom a letter goes to: two ways to write one mailbox are one recipient. "" for nobody."""
    try:
        return transmitted(mail_to) if mail_to else ""
    except MailboxError:  # stored before there was a rule; the relay will refuse it
        return mail_to


def delivery(row: Row[Any]) -> Delivery:
    """The delivery in a row of WITH_RECIPIENT."""
    values = {name: getattr(row, name) for name in COLUMNS}
    return Delivery(**values | {"kind": Kind(row.kind), "state": State(row.state)}, recipient=recipient_of(row.mail_to))


async def held_of(connection: AsyncConnection, keys: Collection[int]) -> list[Delivery]:
    """Every delivery of these prescriptions, oldest first; nobody else changes them before this transaction ends."""
    rows = await connection.execute(ALL_OF, {"keys": list(keys)})
    return [delivery(row) for row in rows.all()]


async def present_of(connection: AsyncConnection, keys: Collection[int]) -> Mapping[int, Present]:
    """These prescriptions as they are now."""
    rows = (await connection.execute(PRESENT, {"keys": list(keys)})).all()
    return {
        row.prescription_id: Present(row.status, recipient_of(row.mail_to), row.deleted_at is not None) for row in rows
    }


async def add(connection: AsyncConnection, one: Delivery) -> None:
    """Writes a new one; its id is given to it."""
    values = {name: value for name, value in asdict(one).items() if name in COLUMNS and name != "delivery_id"}
    await connection.execute(insert(deliveries), values)


async def save(connection: AsyncConnection, one: Delivery, now: datetime) -> None:
    """Writes down how far one has come."""
    await connection.execute(SAVE, changes(one, now) | {"which": one.delivery_id})


def changes(one: Delivery, now: datetime) -> dict[str, object]:
    """The columns that change while it is on its way."""
    return {name: getattr(one, name) for name in CHANGING} | {"updated_at": now}
