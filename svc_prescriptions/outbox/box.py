"""The outbox as writes see it: what a version means for the mail, written down in the version's own transaction."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from observability.current import traceparent
from svc_prescriptions.domain import Prescription, PrescriptionContent
from svc_prescriptions.outbox.delivery import Delivery, Kind, message_id
from svc_prescriptions.outbox.intents import Addition, Present, Wish, plan, superseded
from svc_prescriptions.outbox.rows import add, held_of, recipient_of, save
from svc_prescriptions.repository import SHAPE
from svc_prescriptions.tables import prescription_versions


class Outbox:
    """Letters are put into it by writes.

    Args:
        domain: of the address that letters come from; their names end in it.
    """

    def __init__(self, domain: str) -> None:
        self._domain = domain

    async def intend(self, connection: AsyncConnection, written: Prescription) -> None:
        """Writes down what a version that this transaction has just made means for the mail."""
        content, now = written.content, written.updated_at
        present = Present(content.status, recipient_of(content.mail_to), written.deleted)
        before = await held_of(connection, [written.key]) if written.version > 1 else []
        planned = plan(present, before, await _same(connection, written, present, before))
        for one in planned.overtaken:
            await save(connection, superseded(one), now)
        made = Counter[Kind]()
        for addition in planned.added:
            made[addition.kind] += 1
            await add(connection, self._new(written, addition, made[addition.kind]))

    def _new(self, written: Prescription, addition: Addition, number: int) -> Delivery:
        return Delivery(
            prescription_id=written.key,
            version=written.version,
            about=addition.about or written.version,
            kind=addition.kind,
            created_at=written.updated_at,
            updated_at=written.updated_at,
            next_attempt_at=written.updated_at,
            message_id=message_id(
                written.key, written.version, written.updated_at, addition.kind, self._domain, number
            ),
            replaces=addition.replaces,
            traceparent=traceparent(),
        )


async def _same(
    connection: AsyncConnection, written: Prescription, present: Present, before: Sequence[Delivery]
) -> Collection[int]:
    """The versions whose letters to the present recipient say what one about this version would say."""
    versions = {one.about for one in before if one.recipient == present.recipient}
    if not versions or present.wish(present.recipient) is not Wish.LETTER:
        return ()
    table = prescription_versions
    query = select(table).where(table.c.prescription_id == written.key, table.c.version.in_(versions))
    stored = [SHAPE.document(row) for row in (await connection.execute(query)).all()]
    return {one.version for one in stored if _said(one.content) == _said(written.content)}


def _said(content: PrescriptionContent) -> PrescriptionContent:
    """What a letter says of it: all but whom it goes to, and the status, which is active in each of them."""
    return replace(content, status="", mail_to="")
