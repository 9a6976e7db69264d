"""Letters are taken in hand under a lease; what is not in somebody's hand any more cannot be sent or settled by him."""

import asyncio
from collections import Counter
from datetime import timedelta

from storage.database import Database
from svc_prescriptions.outbox.claims import LEASE, Claims
from svc_prescriptions.outbox.delivery import Delivery
from svc_prescriptions.relay.result import Outcome
from tests.fakes.plans import plans_of
from tests.integration.outbox.clinic import MINUTE, Clinic, end, take, take_one

TICK = timedelta(microseconds=1)


async def test_no_letter_is_ever_in_two_hands(clinic: Clinic, address: str) -> None:
    """Each of its copies would be another prescription to somebody."""
    for _ in range(60):
        await clinic.write()
    async with Database(address) as other:
        workers = [clinic.worker(f"w{number}", (clinic.database, other)[number % 2]) for number in range(6)]

        async def work(worker: Claims) -> list[Delivery]:
            mine, empty = list[Delivery](), 0
            while empty < 5:
                taken = await take(worker, 7)
                empty = 0 if taken else empty + 1
                mine += taken
            return mine

        taken = [one for each in await asyncio.gather(*map(work, workers)) for one in each]
    assert Counter(one.delivery_id for one in taken) == Counter(range(1, 61))
    assert {one.state for key in range(1, 61) for one in await clinic.of(key)} == {"sending"}


async def test_letters_are_taken_in_order_of_age(clinic: Clinic) -> None:
    """Also after an outage, and those that were told to come later when their time has come."""
    worker = clinic.worker()
    for _ in range(5):
        await clinic.write()
    (first,) = await take(worker, 1)
    await end(worker, first, Outcome.LATER)
    assert [one.delivery_id for one in await take(worker, 2)] == [2, 3]
    clinic.turn(MINUTE)
    assert [one.delivery_id for one in await take(clinic.worker("w2"), 9)] == [1, 2, 3, 4, 5]


async def test_a_letter_is_its_holders_until_the_lease_ends_and_then_anybodys(clinic: Clinic) -> None:
    """A worker that was killed must not keep letters; one that was only slow must not send what another one sends."""
    slow, other = clinic.worker("slow"), clinic.worker("other")
    await clinic.write()
    first = await take_one(slow)
    clinic.turn(LEASE - TICK)
    assert await take(other) == []
    clinic.turn(TICK)
    again = await take_one(other)
    assert (first.attempts, again.attempts) == (1, 2)
    assert not await slow.hand_over(first)
    assert not await end(slow, first)
    assert await other.hand_over(again)
    assert await end(other, again)
    assert await clinic.told() == ["new sent"]


async def test_a_worker_that_got_its_own_letter_again_cannot_settle_the_old_attempt(clinic: Clinic) -> None:
    """Its two attempts would be mistaken for one another."""
    worker = clinic.worker()
    await clinic.write()
    first = await take_one(worker)
    clinic.turn(LEASE)
    again = await take_one(worker)
    assert not await worker.hand_over(first)
    assert not await end(worker, first, Outcome.REFUSED)
    assert await end(worker, again)


async def test_a_renewed_lease_goes_on_and_so_does_one_that_hands_over(clinic: Clinic) -> None:
    """A relay may take ten minutes to say yes."""
    worker, other = clinic.worker(), clinic.worker("other")
    await clinic.write()
    one = await take_one(worker)
    for step in (worker.renew([1]), worker.hand_over(one), worker.renew([1])):
        clinic.turn(LEASE - TICK)
        await take(other)
        assert await clinic.told() == ["new sending"]
        await step
    assert await end(worker, one)


async def test_a_lease_that_its_holder_does_not_know_of_ends(clinic: Clinic) -> None:
    """The answer to its COMMIT was lost: the letter is its own by the table, and it will never send it."""
    worker = clinic.worker()
    for _ in range(2):
        await clinic.write()
    first, forgotten = await take(worker)
    clinic.turn(LEASE - TICK)
    await worker.renew([first.delivery_id])
    clinic.turn(TICK)
    assert [one.delivery_id for one in await take(worker)] == [forgotten.delivery_id]


async def test_a_letter_that_was_handed_over_by_a_worker_that_is_gone_is_uncertain(clinic: Clinic) -> None:
    """It is sent again, and says so, when the time has come; not at once: the relay may be slow to deliver."""
    worker, other = clinic.worker(), clinic.worker("other")
    await clinic.write()
    assert await worker.hand_over(await take_one(worker))
    clinic.turn(LEASE)
    assert await take(other) == []
    assert await clinic.told() == ["new uncertain"]
    clinic.turn(15 * MINUTE)
    again = await take_one(other)
    assert (again.maybe_left, again.attempts, again.message_id) == (
        1,
        2,
        "<prescription.1.1.new.20261124T120000Z@clinic.example>",
    )
    clinic.turn(LEASE)  # gone, too, before it came to handing it over
    third = await take_one(worker)
    assert (third.maybe_left, third.attempts) == (1, 3)


async def test_a_holder_that_comes_back_with_a_yes_ends_the_doubt(clinic: Clinic) -> None:
    """Unless somebody has begun to send it again."""
    worker, other = clinic.worker(), clinic.worker("other")
    await clinic.write()
    one = await take_one(worker)
    await worker.hand_over(one)
    clinic.turn(LEASE)
    await take(other)
    assert not await end(worker, one, Outcome.LATER)
    assert await clinic.told() == ["new uncertain"]
    assert await end(worker, one)
    assert await clinic.told() == ["new sent"]


async def test_a_holder_that_comes_back_after_another_attempt_is_not_heard(clinic: Clinic) -> None:
    """Of that one, too, nobody knows what became; both doubts must be kept."""
    worker, other = clinic.worker(), clinic.worker("other")
    await clinic.write()
    first = await take_one(worker)
    await worker.hand_over(first)
    clinic.turn(15 * MINUTE + LEASE)
    await take(other)
    clinic.turn(15 * MINUTE)
    await end(other, await take_one(other), Outcome.UNCERTAIN)
    assert not await end(worker, first)
    (letter,) = await clinic.of()
    assert (letter.state, letter.maybe_left, letter.attempts) == ("uncertain", 2, 2)


async def test_no_more_is_taken_than_was_asked_for(clinic: Clinic) -> None:
    """A breaker that tries wants one letter, though a prescription may have two."""
    worker = clinic.worker()
    await clinic.write()
    await end(worker, await take_one(worker))
    await clinic.change(mail_to="b@example.org")
    assert [one.kind for one in await take(worker, 1)] == ["cancellation"]


async def test_what_waits_for_a_letter_in_hand_keeps_no_other_waiting(clinic: Clinic) -> None:
    """A relay that holds one letter for minutes must not hold all."""
    worker = clinic.worker()
    await clinic.write()
    first = await take_one(worker)
    await clinic.change(patient_name="Eva")
    await clinic.write()
    (second,) = await take(worker, 1)
    assert second.prescription_id == 2
    await end(worker, first)
    (revision,) = await take(worker, 1)
    assert (revision.kind, revision.replaces) == ("revision", first.message_id)


async def test_a_worker_that_ends_gives_everything_back(clinic: Clinic) -> None:
    """What it handed over is uncertain at once, the rest is as if it had never been taken."""
    worker = clinic.worker()
    for _ in range(3):
        await clinic.write()
    first, second, _third = await take(worker)
    await worker.hand_over(first)
    await worker.give_back([second], "relay away")
    assert await clinic.told(2) == ["new waiting"]
    await take(clinic.worker("other"), 1)
    await worker.release(5)
    assert await clinic.told(2) == ["new sending"]
    await clinic.worker("other").release(5)
    assert [await clinic.told(key) for key in (1, 2, 3)] == [["new uncertain"], ["new waiting"], ["new waiting"]]
    assert [one.attempts for key in (1, 2, 3) for one in await clinic.of(key)] == [1, 0, 0]
    assert [one.delivery_id for one in await take(clinic.worker("other"))] == [2, 3]


async def test_writes_and_workers_at_once_leave_no_letter_waiting_that_is_not_true(clinic: Clinic) -> None:
    """What a write decides and what a worker takes must not pass each other."""
    await clinic.write()
    worker, stop = clinic.worker(), asyncio.Event()

    async def send() -> None:
        while not stop.is_set():
            for one in await take(worker):
                await end(worker, one)
            await asyncio.sleep(0)

    sending = asyncio.create_task(send())
    for number in range(30):
        await clinic.change(patient_name=f"Eva {number}")
    stop.set()
    await sending
    for one in await take(worker):
        await end(worker, one)
    letters = [one for one in await clinic.of() if one.state != "withdrawn"]
    assert {one.state for one in letters} == {"sent"}
    assert letters[-1].about == 31
    named = ["", *(one.message_id for one in letters)]
    assert [one.replaces for one in letters] == named[:-1]


async def test_looking_for_what_is_due_passes_over_nothing_that_was_sent(clinic: Clinic) -> None:
    """After a year there are a million letters of which three are due; each replica looks every second."""
    await clinic.write()
    plans = await plans_of(clinic.database, lambda: clinic.worker().due(20))
    assert len(plans) == 3
    for plan in plans:
        assert "deliveries_due" in plan.told, plan
        assert "filesort" not in plan.told
        assert "TEMP B-TREE" not in plan.told, plan
