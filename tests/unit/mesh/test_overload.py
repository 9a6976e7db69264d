"""Each kind of overload in turned time: what comes through, what is refused and how soon, where the limit goes."""

import asyncio
from random import Random

import pytest

from mesh.policy import AdmissionPolicy
from mesh.policy.methods import Priority
from mesh.testing import in_pure_time
from tests.overload import Sim

WORKERS, WORK = 8, 0.04
PEAK = WORKERS / WORK
"""Calls a second that the workers can do."""
SETTLED = 5.0  # seconds after which the limit is where it belongs


@pytest.mark.parametrize(("times", "reaches"), [(2.0, 0.9), (3.0, 0.8)])
def test_what_can_be_done_is_done_when_more_is_asked_for(times: float, reaches: float) -> None:
    """Without a limit all of it waits until its callers have gone, and nothing that is done is of use."""
    sim = Sim(lambda _: WORK)
    in_pure_time(sim.run((20.0, PEAK * times)))
    assert sim.good(SETTLED, 20.0) >= reaches * PEAK
    assert sim.took("ok", 0.99, SETTLED) <= 3 * WORK
    assert sim.took("refused", 0.99, SETTLED) <= 0.02


def test_times_that_differ_are_no_overload() -> None:
    """A limit that goes by the quickest of them would throttle a service for being as it is."""
    sim = Sim(lambda rng: rng.expovariate(1 / WORK))
    in_pure_time(sim.run((30.0, PEAK * 1.5)))
    assert sim.good(SETTLED, 30.0) >= 0.9 * PEAK


def test_a_mild_overload_of_ten_minutes_moves_the_limit_nowhere() -> None:
    """A limit that follows its own latency upwards is ten times too high after an hour."""
    work = 10 * WORK  # fewer calls, for the sake of the test's time
    sim = Sim(lambda _: work)
    in_pure_time(sim.run((600.0, 1.3 * WORKERS / work)))
    before, after = sim.limit(20.0, 140.0), sim.limit(480.0, 600.0)
    assert abs(after - before) <= 0.1 * before
    assert sim.good(SETTLED, 600.0) >= 0.9 * WORKERS / work


@pytest.mark.parametrize("rate", [0.9 * PEAK, 2 * PEAK])
def test_while_all_calls_time_out_the_limit_only_falls_and_it_is_back_at_once_after(rate: float) -> None:
    """Outages end; a limit that has to be found again from nothing makes them longer."""
    away, back = 5.0, 25.0
    sim = Sim(lambda _: WORK)

    async def fate() -> None:
        await asyncio.sleep(away)
        sim.stuck = asyncio.Event()
        await asyncio.sleep(back - away)
        sim.stuck.set()

    async def both() -> None:
        await asyncio.gather(sim.run((35.0, rate)), fate())

    in_pure_time(both())
    meanwhile = [limit for at, limit in sim.limits if away + 0.1 <= at < back]
    assert meanwhile == sorted(meanwhile, reverse=True)
    assert sim.good(back + 5.0, 35.0) >= 0.9 * min(rate, PEAK)


def test_a_limit_that_was_too_high_from_the_beginning_comes_down() -> None:
    """What is measured under it is too long; each new look must make the error smaller."""
    sim = Sim(lambda _: WORK, policy=AdmissionPolicy(first=60))
    in_pure_time(sim.run((80.0, 1.3 * PEAK)))
    assert sim.limit(60.0, 80.0) < 3 * WORKERS


def test_writes_come_through_while_reads_are_refused() -> None:
    """What a person has written down is the last thing to be sent away."""

    def drawn(rng: Random) -> Priority:
        return "high" if rng.random() < 0.2 else "normal" if rng.random() < 0.8 else "low"

    sim = Sim(lambda _: WORK)
    in_pure_time(sim.run((20.0, 2 * PEAK), priority=drawn))
    share = {
        priority: sum(call.outcome == "ok" for call in sim.calls if call.priority == priority)
        / sum(call.priority == priority for call in sim.calls)
        for priority in ("high", "normal", "low")
    }
    assert share["high"] > 0.85
    assert share["high"] > share["normal"] > share["low"]
