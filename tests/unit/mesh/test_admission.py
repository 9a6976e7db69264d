"""A place that lets calls in: what becomes of those that wait while others come and go."""

import asyncio
from random import Random

import pytest

from mesh.admission import Admission, Asking
from mesh.errors import Overloaded
from mesh.events import LimitChanged, Shed
from mesh.policy import AdmissionPolicy
from mesh.testing import TurnedClock
from tests.fakes.mesh import Recorded

POLICY = AdmissionPolicy(first=1, least=1, most=1, patience=10.0, hurried=10.0)
CALL = Asking("/test.Echo/Say")


class Place:
    """An admission in turned time, with room for one."""

    def __init__(self, policy: AdmissionPolicy = POLICY) -> None:
        self.clock, self.events = TurnedClock(), Recorded()
        self.admission = Admission("echo", policy, clock=self.clock, rng=Random(1), events=self.events)

    async def waits(self, asking: Asking = CALL) -> "asyncio.Task[object]":
        task: asyncio.Task[object] = asyncio.create_task(self.admission.enter(asking))
        await self.clock.turn(0.0)
        return task


async def test_whoever_goes_in_the_moment_of_its_turn_takes_no_permit_along() -> None:
    """A permit that nobody gives back lowers the limit for good; enough of them, and nobody is let in again."""
    place = Place()
    held = await place.admission.enter(CALL)
    gone, other = await place.waits(), await place.waits()
    gone.cancel()
    place.admission.leave(held, "done")  # before the one that goes has seen that it does
    await place.clock.turn(0.0)
    assert gone.cancelled()
    assert other.done()
    assert place.admission.in_flight == 1


async def test_whoever_was_let_in_and_goes_before_it_begins_gives_its_permit_back() -> None:
    """The same a moment later."""
    place = Place()
    held = await place.admission.enter(CALL)
    gone, other = await place.waits(), await place.waits()
    place.admission.leave(held, "done")
    gone.cancel()
    await place.clock.turn(0.0)
    assert gone.cancelled()
    assert other.done()
    assert place.admission.in_flight == 1


async def test_whoever_goes_while_a_place_is_taken_from_it_is_no_trouble_to_the_newcomer() -> None:
    """Callers give up in crowds, and that is when places are taken."""
    place = Place()
    held = await place.admission.enter(CALL)
    crowd = [await place.waits() for _ in range(4)]
    crowd[0].cancel()
    newcomer = asyncio.create_task(place.admission.enter(CALL))
    await place.clock.turn(0.0)
    place.admission.leave(held, "done")
    await place.clock.turn(0.0)
    assert sum(task.done() and not task.cancelled() for task in [*crowd, newcomer]) == 1
    for task in [*crowd, newcomer]:
        task.cancel()
    await asyncio.wait([*crowd, newcomer])
    assert place.admission.waiting == 0


async def test_patience_ends_and_the_refusal_says_when_to_come_again() -> None:
    """An answer that says no at once is worth more than one that comes too late."""
    place = Place()
    held = await place.admission.enter(CALL)
    waiting = await place.waits(CALL._replace(request_id="r", deadline=place.clock.now() + 60))
    await place.clock.turn(10.1)
    with pytest.raises(Overloaded, match="echo has 1 calls under way") as caught:
        await waiting
    assert caught.value.retry_after is not None
    assert 2.0 <= caught.value.retry_after <= 2.5
    (shed,) = place.events.of(Shed)
    assert (shed.request_id, shed.reason, shed.in_flight, shed.limit) == ("r", "waited_too_long", 1, 1)
    place.admission.leave(held, "done")
    assert place.admission.in_flight == 0


async def test_a_loop_that_stands_still_lowers_the_limit() -> None:
    """What waits for the loop is in no handler yet, and no handler's time tells of it."""
    place = Place(AdmissionPolicy(window=0.0, minimum=1))

    async def calls() -> None:
        for _ in range(20):
            permit = await place.admission.enter(CALL)
            await place.clock.turn(0.001)
            place.admission.leave(permit, "done")

    async with place.admission:
        await calls()
        assert place.events.of(LimitChanged) == []
        for _ in range(10):
            place.clock._now += 0.5  # nobody could do anything meanwhile
            await place.clock.turn(0.1)
        await calls()
    assert {event.reason for event in place.events.of(LimitChanged)} == {"slower_than_unloaded"}
