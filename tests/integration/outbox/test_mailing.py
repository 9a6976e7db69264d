"""From a write to a mailbox: the worker with a real database and a real connection to a relay."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from mesh.clock import SystemClock
from mesh.decide.circuit import Circuit
from mesh.events import Events
from mesh.layers.breaker import Breaker
from observability.tracing import Tracing
from storage.database import Database
from svc_prescriptions.outbox.attempt import Attempts
from svc_prescriptions.outbox.letters import Letters
from svc_prescriptions.outbox.worker import POLICY, Worker
from svc_prescriptions.relay import Patience, Relay, relay_address
from tests.fakes.relay import FakeRelay, Fault, How, Planned, Point
from tests.fakes.waiting import until
from tests.integration.outbox.clinic import MINUTE, Clinic

SENDER = "CareMesh <prescriptions@clinic.example>"
SHORT = Patience(connect=2, command=2, data=2, content=2, end=1, leave=1)  # seconds


@asynccontextmanager
async def mailing(clinic: Clinic, relay: FakeRelay, *, name: str = "w1") -> AsyncIterator[Breaker]:
    """A worker of the clinic's outbox, by the clinic's clock but for its looks and its breaker, which is given."""
    clock, rng, stop = SystemClock(), Random(1), asyncio.Event()
    claims = clinic.worker(name)
    attempts = Attempts(claims, Letters(clinic.database, SENDER).compose, Tracing("prescriptions", "test"), clock)
    breaker = Breaker("relay", relay.address, Circuit(POLICY, rng), clock, Events())
    link = Relay(relay_address(relay.address), "prescriptions@clinic.example", patience=SHORT).link
    worker = Worker(claims, attempts, link, breaker, asyncio.Event(), clock, rng)
    task = asyncio.create_task(worker.run(stop))
    try:
        yield breaker
    finally:
        stop.set()
        await task


async def states(clinic: Clinic, *wanted: str, key: int = 1, seconds: float = 30) -> None:
    """Returns once a prescription's deliveries are so."""
    async with asyncio.timeout(seconds):
        while await clinic.told(key) != list(wanted):  # noqa: ASYNC110  # the database cannot tell
            await asyncio.sleep(0.02)


async def test_a_prescription_reaches_a_mailbox_and_what_becomes_of_it_follows(clinic: Clinic) -> None:
    """The whole way: a letter, its revision, its cancellation, each naming the one before it."""
    async with FakeRelay() as relay, mailing(clinic, relay):
        await clinic.write(patient_name="Eva Nováková")
        await states(clinic, "new sent")
        await clinic.change(patient_name="Eva Novotná")
        await states(clinic, "new sent", "revision sent")
        await clinic.change(status="stopped", patient_name="Ema")
        await states(clinic, "new sent", "revision sent", "cancellation sent")
    first, revision, cancellation = [letter.message for letter in relay.taken]
    assert [letter.recipients for letter in relay.taken] == [("a@example.org",)] * 3
    assert (revision["References"], cancellation["References"]) == (first["Message-ID"], revision["Message-ID"])
    body = cancellation.get_body(("plain",))
    assert body
    assert "stopped" in body.get_content()
    assert "Novotná" in body.get_content()


async def test_an_uncertain_letter_comes_again_under_the_same_name_and_says_so(clinic: Clinic) -> None:
    """The relay stored it and died before it said so; nobody can know that."""
    script = Planned(Fault(Point.DOT, How.CUT, keeps=True))
    async with FakeRelay(script) as relay, mailing(clinic, relay):
        await clinic.write()
        await states(clinic, "new uncertain")
        (uncertain,) = await clinic.of()
        assert (uncertain.next_attempt_at, uncertain.maybe_left) == (clinic.now + 15 * MINUTE, 1)
        clinic.turn(15 * MINUTE)
        await states(clinic, "new sent")
    first, again = [letter.message for letter in relay.taken]
    assert first["Message-ID"] == again["Message-ID"] == "<prescription.1.1.new.20261124T120000Z@clinic.example>"
    texts = [body.get_content() for body in (first.get_body(("plain",)), again.get_body(("plain",))) if body]
    assert ["may have reached you already" in " ".join(text.split()) for text in texts] == [False, True]


@pytest.mark.parametrize("point", [Point.BANNER, Point.EHLO, Point.MAIL, Point.RCPT, Point.DATA, Point.CONTENT])
async def test_a_connection_that_is_cut_before_the_letter_is_handed_over_costs_only_time(
    clinic: Clinic, point: Point
) -> None:
    """Without the final dot no relay has it, so it is sent again at once and once."""
    async with FakeRelay(Planned(Fault(point, How.CUT))) as relay, mailing(clinic, relay):
        await clinic.write()
        async with asyncio.timeout(30):
            while await clinic.told() != ["new sent"]:
                clinic.turn(MINUTE)
                await asyncio.sleep(0.02)
    assert len(relay.taken) == 1
    (letter,) = await clinic.of()
    assert letter.maybe_left == 0


async def test_a_relay_that_was_away_gets_everything_when_it_is_back(clinic: Clinic) -> None:
    """And what nobody wants any more is not among it."""
    async with FakeRelay() as relay:
        await relay.away()
        async with mailing(clinic, relay) as breaker:
            for _ in range(5):
                await clinic.write()
            await until(lambda: breaker.state == "open")
            for key in range(1, 6):
                await states(clinic, "new waiting", key=key)
            await clinic.change(key=1, patient_name="Eva")
            await clinic.change(key=2, status="stopped")
            await relay.back()
            for key in (3, 4, 5):
                await states(clinic, "new sent", key=key)
            await states(clinic, "new withdrawn", "new sent", key=1)
            await states(clinic, "new withdrawn", key=2)
    assert Counter(letter.message_id for letter in relay.taken).most_common(1)[0][1] == 1
    assert len(relay.taken) == 4


async def test_two_workers_share_one_outbox(clinic: Clinic, database: Database) -> None:
    """Each letter once, whoever sends it, while they are written."""
    async with FakeRelay() as relay, mailing(clinic, relay, name="w1"), mailing(clinic, relay, name="w2"):
        for _ in range(60):
            await clinic.write()
        for key in range(1, 61):
            await states(clinic, "new sent", key=key)
    assert len(relay.taken) == 60
    assert len({letter.message_id for letter in relay.taken}) == 60
