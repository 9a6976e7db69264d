"""The load generator: it is only worth something if it does not wait for whom it measures."""

import asyncio
import time
from random import Random

from benchmarks.load import OK, WRITES, WRONG, Load
from benchmarks.ways import Attempt
from tests.fakes.waiting import until


class Answers:
    """A way of calling that answers as it is told."""

    def __init__(self, **by_number: object) -> None:
        self.attempts, self.stalls, self.wrong = list[Attempt](), 0.0, set[int]()

    async def call(self, method: str, message: bytes) -> bytes:
        if self.stalls:
            time.sleep(self.stalls)  # noqa: ASYNC251  # the loop itself stands still
            self.stalls = 0.0
        return b"another's" if int.from_bytes(message, "big") in self.wrong else message


async def test_a_call_that_could_not_leave_in_time_has_waited_all_the_same() -> None:
    """A generator that counts from the moment of sending hides each stall of its own and of the mesh's."""
    way = Answers()
    way.stalls = 0.3
    load = Load(way, 200, Random(1))
    await load.run(0.2)
    first = min(load.made, key=lambda made: made.at)
    assert len(load.made) > 20
    assert all(made.at + made.took >= first.at + 0.3 for made in load.made)


async def test_calls_begin_when_they_are_due_although_none_is_answered() -> None:
    """A closed loop would offer less the slower the answers are, and so never see an overload."""
    go_on, begun = asyncio.Event(), list[bytes]()

    class Silent(Answers):
        async def call(self, method: str, message: bytes) -> bytes:
            begun.append(message)
            await go_on.wait()
            return message

    load = Load(Silent(), 500, Random(1))
    running = asyncio.create_task(load.run(0.1))
    await until(lambda: len(begun) >= 20)
    assert load.made == []
    go_on.set()
    await running
    assert load.most_in_flight >= 20
    assert len(load.made) == len(begun)


async def test_an_answer_to_another_caller_is_not_taken_for_one_of_ours() -> None:
    """This is what a mixed-up stream would look like."""
    way = Answers()
    way.wrong = {3}
    load = Load(way, 500, Random(1))
    await load.run(0.1)
    assert [made.outcome for made in load.made].count(WRONG) == 1
    assert {made.outcome for made in load.made} == {OK, WRONG}


async def test_a_seed_repeats_when_calls_are_due_and_which_are_writes() -> None:
    """Else two ways of calling would be compared under two different loads."""

    async def made(seed: int) -> list[tuple[float, str]]:
        load = Load(Answers(), 2_000, Random(seed))
        await load.run(0.1)
        return [(each.at, each.method) for each in load.made]

    one, same, other = await made(1), await made(1), await made(2)
    assert one == same != other
    assert 0 < sum(method == "Write" for _, method in one) < 2 * WRITES * len(one)
