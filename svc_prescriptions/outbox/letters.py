"""From a delivery to the mail that it is: what a letter says stands in the versions of its prescription."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from email.message import EmailMessage

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database
from storage.shape import utc_now
from svc_prescriptions.domain import Prescription
from svc_prescriptions.letter import Letter, render
from svc_prescriptions.outbox.delivery import Delivery
from svc_prescriptions.repository import SHAPE
from svc_prescriptions.tables import prescription_versions


class Letters:
    """Makes mails.

    Args:
        database: the prescriptions'.
        sender: whom they come from, "CareMesh <prescriptions@clinic.example>".
        now: the time, in UTC.
    """

    def __init__(self, database: Database, sender: str, now: Callable[[], datetime] = utc_now) -> None:
        self._database, self._sender, self._now = database, sender, now

    async def compose(self, one: Delivery) -> EmailMessage:
        """The mail of a delivery.

        Raises:
            MailboxError: its recipient is no mailbox; it was stored before there was a rule.
        """
        table = prescription_versions.c
        query = select(prescription_versions).where(
            table.prescription_id == one.prescription_id, table.version.in_({one.about, one.version})
        )

        async def work(connection: AsyncConnection) -> dict[int, Prescription]:
            rows = (await connection.execute(query)).all()
            return {row.version: SHAPE.document(row) for row in rows}

        versions = await self._database.read(work)
        said = letter(one, versions[one.about], versions[one.version])
        # In a thread: some 10 ms, and a second for a prescription of a megabyte.
        return await asyncio.to_thread(render, said, self._sender, self._now())


def letter(one: Delivery, about: Prescription, made_by: Prescription) -> Letter:
    """What a delivery says."""
    return Letter(
        kind=one.kind,
        prescription=about,
        version=one.version,
        message_id=one.message_id,
        replaces=one.replaces,
        reason=_reason(made_by) if one.cancels else "",
        again=one.maybe_left > 0,
    )


def _reason(made_by: Prescription) -> str:
    if made_by.deleted:
        return "deleted"
    return "mail_to changed" if made_by.content.status == "active" else made_by.content.status
