"""The worker: what it takes when, in which order, and what it does when the relay, the database or its time ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from random import Random

import pytest

from mesh.decide.circuit import Circuit
from mesh.events import Events
from mesh.layers.breaker import Breaker
from mesh.testing import TurnedClock, settle
from observability.tracing import Tracing
from storage.failures import BUSY, unavailable
from svc_prescriptions.mailbox import MailboxError
from svc_prescriptions.outbox.attempt import Attempts
from svc_prescriptions.outbox.delivery import Delivery, State
from svc_prescriptions.outbox.intents import superseded
from svc_prescriptions.outbox.worker import BATCH, EVERY, IDLE, LINKS, PER_LINK, POLICY, RENEW, Worker
from svc_prescriptions.relay.result import Outcome
from tests.fakes.outbox import FakeClaims, FakeRelay
from tests.fakes.waiting import until


class Scene:
    """A worker with all that is around it."""

    def __init__(self, count: int) -> None:
        self.clock, self.relay, self.written = TurnedClock(), FakeRelay(), asyncio.Event()
        self.claims = FakeClaims(self.clock, count)
        self.unreadable: dict[int, Exception] = {}
        self.breaker = Breaker("relay", "127.0.0.1:25", Circuit(POLICY, Random(1)), self.clock, Events())
        attempts = Attempts(self.claims, self.compose, Tracing("prescriptions", "test"), self.clock)
        self.worker = Worker(self.claims, attempts, self.relay.link, self.breaker, self.written, self.clock, Random(1))

    async def compose(self, one: Delivery) -> EmailMessage:
        if one.delivery_id in self.unreadable:
            raise self.unreadable[one.delivery_id]
        return EmailMessage()

    async def turn(self, seconds: float, times: int = 1) -> None:
        for _ in range(times):
            await self.clock.turn(seconds)
            for _ in range(3 * len(self.claims.letters)):
                await settle()


@asynccontextmanager
async def working(count: int) -> AsyncIterator[Scene]:
    scene, stop = Scene(count), asyncio.Event()
    task = asyncio.create_task(scene.worker.run(stop))
    try:
        yield scene
    finally:
        scene.relay.answers.set()
        stop.set()
        await task


async def test_all_that_is_due_is_sent_over_few_connections() -> None:
    """Each connection costs a relay more than a letter does."""
    async with working(3 * BATCH) as scene:
        await scene.turn(EVERY)
        assert scene.claims.states() == ["sent"] * 3 * BATCH
        assert scene.relay.links <= LINKS


async def test_letters_begin_in_order_of_age_and_no_more_than_there_are_links() -> None:
    """After an outage who has waited longest comes first."""
    async with working(2 * BATCH) as scene:
        scene.relay.answers.clear()
        await scene.turn(EVERY)
        assert scene.relay.begun == [*range(1, LINKS + 1)]
        scene.relay.answers.set()
        await scene.turn(EVERY)
        assert scene.relay.begun == [*range(1, 2 * BATCH + 1)]


async def test_a_write_of_this_process_is_looked_at_at_once_and_others_within_a_second() -> None:
    """The other replica cannot tell this one."""
    async with working(0) as scene:
        await scene.turn(EVERY)
        scene.claims.add()
        scene.written.set()
        await scene.turn(0)
        assert scene.claims.states() == ["sent"]
        scene.claims.add()
        await scene.turn(EVERY)
        assert scene.claims.states() == ["sent", "sent"]
        looks = scene.claims.looks
        await scene.turn(EVERY, 20)
        assert 20 <= scene.claims.looks - looks <= 40


async def test_a_connection_is_left_when_it_has_carried_enough_or_has_nothing_to_carry() -> None:
    """Relays count letters a connection, and idle ones against themselves."""
    async with working(2 * PER_LINK * LINKS + 1) as scene:
        await scene.turn(EVERY)
        assert scene.claims.states().count("sent") == 2 * PER_LINK * LINKS + 1
        assert 2 * LINKS < scene.relay.links <= 3 * LINKS
        assert scene.relay.open > 0
        await scene.turn(IDLE + 1)
        assert scene.relay.open == 0


async def test_a_relay_that_is_away_costs_nothing_and_all_is_sent_in_order_when_it_is_back() -> None:
    """Not a letter is touched while the breaker is open but the one that tries."""
    async with working(2 * BATCH) as scene:
        scene.relay.outcome = Outcome.RELAY_AWAY
        await scene.turn(EVERY)
        assert scene.breaker.state == "open"
        assert len(scene.relay.begun) <= POLICY.in_a_row + LINKS
        assert scene.claims.states() == ["waiting"] * 2 * BATCH
        begun = len(scene.relay.begun)
        await scene.turn(EVERY, 600)
        assert len(scene.relay.begun) - begun < 40  # one each 24 to 36 seconds, and the first few
        assert set(scene.relay.begun[begun:]) == {1}
        assert {one.attempts for one in scene.claims.letters.values()} == {0}
        scene.relay.outcome = Outcome.SENT
        scene.relay.begun.clear()
        while not scene.relay.begun:
            await scene.turn(EVERY)
        assert scene.relay.begun == [*range(1, 2 * BATCH + 1)]


async def test_a_breaker_that_finds_nothing_to_try_with_is_ready_for_the_next_letter() -> None:
    """What waited was withdrawn meanwhile."""
    async with working(1) as scene:
        scene.relay.outcome = Outcome.RELAY_AWAY
        await scene.turn(EVERY, 10)
        scene.claims.letters[1] = superseded(scene.claims.letters[1])
        await scene.turn(EVERY, 60)
        scene.relay.outcome = Outcome.SENT
        scene.claims.add()
        await scene.turn(EVERY)
        assert scene.claims.states() == ["withdrawn", "sent"]


@pytest.mark.parametrize("outcome", [Outcome.LATER, Outcome.REFUSED])
async def test_what_a_relay_says_of_letters_opens_no_breaker(outcome: Outcome) -> None:
    """A hundred full mailboxes must not keep the others waiting."""
    async with working(BATCH) as scene:
        scene.relay.outcome = outcome
        await scene.turn(EVERY)
        assert scene.breaker.state == "closed"
        assert len(scene.relay.begun) == BATCH


async def test_a_letter_that_cannot_be_made_keeps_no_other_waiting() -> None:
    """One is to no mailbox at all, another trips over a fault of this program."""
    async with working(4) as scene:
        scene.unreadable = {1: MailboxError("must be an address"), 2: ZeroDivisionError()}
        await scene.turn(EVERY)
        assert scene.claims.states() == ["failed", "waiting", "sent", "sent"]
        assert [one.last_error for one in scene.claims.letters.values()][:2] == ["no mailbox", "ZeroDivisionError"]


async def test_faults_of_our_own_open_no_breaker() -> None:
    """Nor do they close one: the relay was not even asked. Else ten bad letters, or a slow disk, stop the good ones."""
    async with working(2 * POLICY.in_a_row) as scene:
        scene.unreadable = {number: ZeroDivisionError() for number in range(1, 2 * POLICY.in_a_row)}
        await scene.turn(EVERY)
        assert (scene.breaker.state, scene.claims.states()[-1]) == ("closed", "sent")


async def test_a_database_that_cannot_write_down_a_handing_over_opens_no_breaker_of_the_relay() -> None:
    """`caremesh up` would say that the relay is away, and somebody would look for the fault there."""
    async with working(POLICY.in_a_row) as scene:

        async def lost(one: Delivery) -> bool:
            return False

        scene.claims.hand_over = lost  # type: ignore[method-assign]
        await scene.turn(EVERY)
        assert len(scene.relay.begun) >= POLICY.in_a_row
        assert scene.breaker.state == "closed"


async def test_a_letter_whose_handing_over_cannot_be_written_down_is_not_handed_over() -> None:
    """Or it would be sent again, and nobody could have known."""
    async with working(0) as scene:
        await scene.turn(EVERY)
        scene.claims.add()
        scene.relay.outcome = Outcome.SENT
        hand_over = scene.claims.hand_over

        async def fail(one: Delivery) -> bool:
            scene.claims.hand_over = hand_over  # type: ignore[method-assign]
            raise unavailable(BUSY)

        scene.claims.hand_over = fail  # type: ignore[method-assign]
        await scene.turn(EVERY)
        assert scene.claims.states() == ["waiting"]
        assert scene.claims.letters[1].last_error == "lease lost"


async def test_a_database_that_is_busy_is_asked_again() -> None:
    """Before a letter is in hand, and after it was sent: then its outcome is all that counts."""
    async with working(1) as scene:
        scene.claims.fails = [unavailable(BUSY)]
        await scene.turn(EVERY, 3)
        assert scene.claims.states() == ["sent"]
        scene.claims.add()
        scene.relay.answers.clear()
        await scene.turn(EVERY)
        scene.claims.fails = [unavailable(BUSY)] * 3
        scene.relay.answers.set()
        await scene.turn(EVERY, 5)
        assert scene.claims.states() == ["sent", "sent"]
        assert scene.relay.begun == [1, 2]


async def test_leases_are_renewed_while_something_is_in_hand_and_only_then() -> None:
    """A relay may take its time; an idle replica must not write."""
    async with working(0) as scene:
        await scene.turn(RENEW, 3)
        assert scene.claims.renewals == 0
        scene.claims.add()
        scene.relay.answers.clear()
        await scene.turn(RENEW, 3)
        assert scene.claims.renewals >= 2
        scene.claims.fails = [unavailable(BUSY)]
        await scene.turn(RENEW, 3)
        scene.relay.answers.set()
        await scene.turn(RENEW)
        renewals = scene.claims.renewals
        assert renewals >= 5
        await scene.turn(RENEW, 3)
        assert scene.claims.renewals == renewals


async def test_a_worker_that_is_stopped_ends_what_it_sends_and_gives_back_the_rest() -> None:
    """An orderly end makes no letter uncertain that the relay answers in time."""
    scene, stop = Scene(BATCH), asyncio.Event()
    running = asyncio.create_task(scene.worker.run(stop))
    scene.relay.answers.clear()
    await scene.turn(EVERY)
    assert scene.claims.states().count("sending") == BATCH
    stop.set()
    await settle()
    scene.relay.answers.set()
    await running
    assert scene.claims.states() == ["sent"] * LINKS + ["waiting"] * (BATCH - LINKS)
    assert scene.relay.open == 0


async def test_a_worker_that_is_stopped_does_not_wait_for_a_relay_that_does_not_answer() -> None:
    """A process has a second to end."""
    scene, stop = Scene(BATCH), asyncio.Event()
    running = asyncio.create_task(scene.worker.run(stop))
    scene.relay.answers.clear()
    await scene.turn(EVERY)
    stop.set()
    async with asyncio.timeout(30):
        await running
    assert State.SENDING not in scene.claims.states()
    assert scene.relay.open == 0


async def test_a_fault_of_the_program_ends_the_worker_and_is_told() -> None:
    """Its process ends with it and is started again: a service that mails nothing must not look well."""
    scene, stop = Scene(1), asyncio.Event()

    async def broken(most: int) -> list[int]:
        raise ZeroDivisionError

    scene.claims.due = broken  # type: ignore[method-assign]
    running = asyncio.create_task(scene.worker.run(stop))
    await scene.turn(EVERY)
    await until(running.done)
    with pytest.raises(ZeroDivisionError):
        await running
