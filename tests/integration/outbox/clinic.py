"""Whoever writes prescriptions and whoever sends their letters, on one database and by one clock."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from storage.database import Database
from storage.documents import Documents
from svc_prescriptions.domain import Medication, Prescription, PrescriptionContent
from svc_prescriptions.outbox.box import Outbox
from svc_prescriptions.outbox.claims import Claims
from svc_prescriptions.outbox.deliveries import Deliveries
from svc_prescriptions.outbox.delivery import Delivery
from svc_prescriptions.outbox.outcomes import Rules
from svc_prescriptions.relay.result import Outcome, Result
from svc_prescriptions.repository import SHAPE

MINUTE = timedelta(minutes=1)
CONTENT = PrescriptionContent(
    patient_id=7,
    doctor_id=3,
    status="active",
    mail_to="a@example.org",
    written_on="2026-11-24",
    medications=(Medication(medication_name="Aspirin"),),
)


class Clinic:
    """Its clock stands until it is turned."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)
        outbox = Outbox("clinic.example")
        self.prescriptions = Documents(database, SHAPE, now=lambda: self.now, follow=outbox.intend)
        self.deliveries = Deliveries(database)

    def worker(self, name: str = "w1", database: Database | None = None) -> Claims:
        rules = Rules(give_up=timedelta(hours=120), repeat_after=15 * MINUTE)
        return Claims(database or self.database, name, rules, lambda: self.now, Random(1))

    async def write(self, **fields: str) -> Prescription:
        return await self.prescriptions.add(replace(CONTENT, **fields), "dr.who", 30)  # type: ignore[arg-type]

    async def change(self, key: int = 1, **fields: object) -> Prescription:
        return await self.prescriptions.replace(key, lambda stored: replace(stored, **fields), "dr.who", 30)  # type: ignore[arg-type]

    async def of(self, key: int = 1) -> list[Delivery]:
        """A prescription's deliveries, oldest first."""
        return list(reversed((await self.deliveries.page(key, 0, 200, "")).items))

    async def told(self, key: int = 1) -> list[str]:
        """The same in short."""
        return [f"{one.kind} {one.state}" for one in await self.of(key)]

    def turn(self, by: timedelta) -> None:
        self.now += by


async def take(worker: Claims, most: int = 20) -> Sequence[Delivery]:
    """Takes what is due in hand."""
    keys = await worker.due(most)
    return await worker.take(keys, most) if keys else []


async def take_one(worker: Claims, most: int = 20) -> Delivery:
    (one,) = await take(worker, most)
    return one


async def end(worker: Claims, one: Delivery, outcome: Outcome = Outcome.SENT) -> bool:
    """Writes down what became of it."""
    return await worker.settle(one, Result(outcome, "RCPT 450 4.2.0"))
