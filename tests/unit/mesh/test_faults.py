"""Faults on purpose: what was ordered befalls whom it was ordered for, and a seed repeats it."""

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import Lost, MeshError, Refused, RemoteError, Unreachable
from mesh.events import FaultInjected
from mesh.faults.fault import ERRORS, Fault, Faults, raised
from mesh.faults.layer import inject
from mesh.status import Status
from mesh.testing import TurnedClock
from tests.fakes.mesh import Recorded, Scripted, a_call


def faults(*fault: Fault, seed: int = 1) -> Faults:
    return Faults(fault, rng=Random(seed))


async def test_a_late_attempt_leaves_when_its_time_has_come_and_not_before() -> None:
    """Latency before sending is what a slow network looks like to every layer above."""
    clock, far, events = TurnedClock(), Scripted(), Recorded()
    handler = inject(faults(Fault(latency=0.2)), "a:1", clock, events)(far)
    calling = asyncio.ensure_future(handler(a_call()))
    await clock.turn(0.19)
    assert far.calls == []
    await clock.turn(0.01)
    assert (await calling).message == "well"
    assert [(each.endpoint, each.delay, each.error) for each in events.of(FaultInjected)] == [("a:1", 0.2, "")]


@pytest.mark.parametrize(
    ("error", "kind", "carried_out"),
    [("unreachable", Unreachable, 0), ("refused", Refused, 0), ("unavailable", RemoteError, 0), ("lost", Lost, 1)],
)
async def test_an_attempt_ends_as_ordered(error: str, kind: type[MeshError], carried_out: int) -> None:
    """A lost answer is one to something that was done: a test that never does it would not find a doubled write."""
    far = Scripted()
    handler = inject(faults(Fault(error=error)), "a:1", TurnedClock(), Recorded())(far)
    with pytest.raises(kind):
        await handler(a_call())
    assert len(far.calls) == carried_out


async def test_without_faults_nothing_is_told_and_nothing_changed() -> None:
    """The layer stays in place while faults are switched on and off."""
    switched, events = faults(Fault(error="lost")), Recorded()
    handler = inject(switched, "a:1", TurnedClock(), events)(Scripted())
    switched.set()
    assert (await handler(a_call())).message == "well"
    assert events.seen == []
    switched.set(Fault(error="unavailable"))
    with pytest.raises(RemoteError):
        await handler(a_call())


def test_a_fault_befalls_the_methods_and_endpoints_it_names_and_no_others() -> None:
    """A fault for writes at one replica must not touch reads, or the test shows something else."""
    given_ = faults(Fault(error="lost", methods=frozenset({"Write"}), endpoints=frozenset({"a:1"})))
    hit = [(m, e) for m in ("Read", "Write") for e in ("a:1", "b:1") if given_.draw(m, e).error]
    assert hit == [("Write", "a:1")]


def test_several_faults_add_their_delays_and_the_first_error_counts() -> None:
    """So that a slow endpoint may fail as well."""
    drawn = faults(Fault(latency=0.1), Fault(latency=0.2, error="lost"), Fault(error="refused")).draw("Read", "a:1")
    assert drawn.error == "lost"
    assert drawn.delay == pytest.approx(0.3)


@given(st.floats(0, 1), st.floats(0, 1), st.integers())
def test_a_seed_repeats_what_befalls_and_its_share_is_kept(share: float, jitter: float, seed: int) -> None:
    """A failure that cannot be repeated cannot be mended."""

    def drawn() -> list[tuple[float, str]]:
        one = faults(Fault(share=share, jitter=jitter, error="lost"), seed=seed)
        return [one.draw("Read", "a:1") for _ in range(400)]

    draws = drawn()
    assert draws == drawn()
    assert all(0 <= delay <= jitter for delay, _ in draws)
    assert abs(sum(error == "lost" for _, error in draws) / 400 - share) < 0.15


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"share": 1.5}, "share"),
        ({"latency": -1.0}, "latency"),
        ({"jitter": float("nan")}, "jitter"),
        ({"error": "bad"}, "error"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_by_name(wrong: dict[str, object], named: str) -> None:
    """A misspelt error that never happens would let a test pass that tests nothing."""
    with pytest.raises(ValueError, match=named):
        Fault(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_that_can_be_ordered_can_happen(error: str) -> None:
    """Each of them by its own name, none of them OK."""
    made = raised(error)
    assert made.reason in {error, f"status_{error}", "link_broke"}
    assert not isinstance(made, RemoteError) or made.status is not Status.OK
