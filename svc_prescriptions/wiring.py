"""What the prescription service is made of."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from random import SystemRandom
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from hosting.hosted import Beside, Built, Ground, Hosted
from mesh.clock import SystemClock
from mesh.decide.circuit import Circuit
from mesh.layers.breaker import Breaker
from storage.documents import Documents
from storage.shape import utc_now
from svc_prescriptions.commands import USAGE, command
from svc_prescriptions.mailbox import sender_of
from svc_prescriptions.outbox.attempt import Attempts
from svc_prescriptions.outbox.box import Outbox
from svc_prescriptions.outbox.claims import Claims, doubt_unsent
from svc_prescriptions.outbox.deliveries import Deliveries
from svc_prescriptions.outbox.letters import Letters
from svc_prescriptions.outbox.outcomes import Rules
from svc_prescriptions.outbox.worker import POLICY, Worker
from svc_prescriptions.relay import Relay, relay_address
from svc_prescriptions.repository import SHAPE
from svc_prescriptions.service import PrescriptionsService
from svc_prescriptions.settings import PrescriptionsSettings

MIGRATIONS = Path(__file__).with_name("migrations")

log = logging.getLogger(__name__)


def build(ground: Ground) -> Built:
    settings, database, written = ground.settings, ground.database, asyncio.Event()
    outbox = Outbox(sender_of(settings.mail_from).domain)
    prescriptions = Documents(database, SHAPE, follow=outbox.intend)
    service = PrescriptionsService(prescriptions, Deliveries(database), ground.health, written.set)
    return Built(service, _mailing(ground, settings, written))


def _mailing(ground: Ground, settings: PrescriptionsSettings, written: asyncio.Event) -> Beside | None:
    if not settings.mail_relay:
        log.warning("letters wait: CAREMESH_MAIL_RELAY names no relay to hand them to")
        return None
    address, clock, rng = relay_address(settings.mail_relay), SystemClock(), SystemRandom()
    relay = Relay(address, sender_of(settings.mail_from).addr_spec, settings.mail_ca_file)
    claims = Claims(ground.database, uuid4().hex, rules_of(settings), rng=rng)
    letters = Letters(ground.database, settings.mail_from)
    attempts = Attempts(claims, letters.compose, ground.tracing, clock)
    where = f"{address.host}:{address.port}"
    breaker = Breaker("relay", where, Circuit(POLICY, rng), clock, ground.events)
    return Worker(claims, attempts, relay.link, breaker, written, clock, rng).run


def rules_of(settings: PrescriptionsSettings) -> Rules:
    """How long to try."""
    minutes = settings.mail_uncertain_minutes
    return Rules(timedelta(hours=settings.mail_give_up_hours), timedelta(minutes=minutes) if minutes else None)


async def _mend(connection: AsyncConnection, settings: PrescriptionsSettings) -> None:
    await doubt_unsent(connection, utc_now(), rules_of(settings))


def hosted() -> Hosted:
    return Hosted(
        "prescriptions", "svc_prescriptions", PrescriptionsSettings, MIGRATIONS, SHAPE, build, _mend, command, USAGE
    )
