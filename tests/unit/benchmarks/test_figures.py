"""Figures and bounds: what is printed as kept must have been kept."""

import json

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import answered, between, out_of_rotation, p99, percentile, share_of
from benchmarks.load import Made
from benchmarks.report import Kind, Outcome, as_json, at_least, at_most, combined, times_before
from benchmarks.ways import Attempt

NUMBERS = st.lists(st.floats(0, 1_000), min_size=1, max_size=300)


@given(NUMBERS, st.floats(0.01, 1.0))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    """Off by one, and the slowest call of a hundred is never seen."""
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
    assert sum(value < found for value in values) < share * len(values) + 1e-6


def test_figures_of_calls_are_of_those_that_were_due_in_their_time() -> None:
    """A call that was due before a fault and ended after it belongs to the time before."""
    made = [Made(0.5, 9.0, "Read", "ok"), Made(1.0, 0.1, "Read", "lost"), Made(1.5, 0.2, "Write", "ok")]
    assert between(made, 1.0, 1.5) == [made[1]]
    assert answered(between(made, 1.0)) == 50
    assert answered([]) == 100
    assert p99(between(made, 1.0)) == 200


def test_an_endpoint_is_out_of_rotation_when_it_stays_out() -> None:
    """One that is left alone for a moment and then asked again was never out; a trial a second is out."""
    both = [Attempt(at / 100, "a" if at % 2 else "b") for at in range(100)]
    one = [Attempt(1 + at / 100, "b") for at in range(100)]
    trial = [Attempt(1.5, "a")]
    again = [Attempt(2 + at / 100, "a") for at in range(100)]
    assert out_of_rotation([*both, *one, *trial], "a", 0, 2) == 1.0
    assert out_of_rotation([*both, *one, *again], "a", 0, 3) == 3.0
    assert out_of_rotation(one, "a", 1, 2) == 0.0
    assert share_of([*both, *one], "a", 0, 2) == 25


def test_the_worst_run_counts_for_shares_and_the_median_for_latencies() -> None:
    """Three runs of which one failed calls have failed calls."""
    bounds = [at_least("answered", 99), at_most("attempts", 2), times_before("after", 3, "before")]
    runs = [
        {"answered": 100.0, "attempts": 1.0, "before": 50.0, "after": 900.0},
        {"answered": 98.0, "attempts": 3.0, "before": 60.0, "after": 80.0},
        {"answered": 100.0, "attempts": 1.0, "before": 70.0, "after": 170.0},
    ]
    assert combined(runs, bounds) == {"answered": 98.0, "attempts": 3.0, "before": 60.0, "after": 170.0}


def test_a_bound_that_is_missed_is_told_by_name_figure_and_limit() -> None:
    """Whoever reads CI's last lines must know what went wrong."""
    bounds = [at_least("answered, %", 99.9), times_before("after, ms", 3, "before, ms"), at_most("it, s", 1, Kind.TIME)]
    figures = {"answered, %": 98.0, "before, ms": 50.0, "after, ms": 150.0, "it, s": 2.0}
    outcome = Outcome("killed", "one is killed", bounds, {"mesh": figures, "plain": {"answered, %": 50.0}})
    assert outcome.broken == [
        "killed: answered, % is 98, and must be ≥ 99.90",
        "killed: it, s is 2, and must be ≤ 1",
    ]
    assert outcome.broken_of(Kind.COUNT) == outcome.broken[:1]
    assert "BROKEN" in outcome.table()
    assert json.loads(as_json([outcome], seed=1))["rows"][0]["plain"] == {"answered, %": 50.0}


def test_a_multiple_of_little_is_a_tenth_of_a_second() -> None:
    """Three times 2 ms is less than a busy machine takes to wake a process."""
    bound = times_before("after", 3, "before")
    assert not bound.holds({"before": 2.0, "after": p99([])})
    assert bound.holds({"before": 2.0, "after": 100.0})
    assert not bound.holds({"before": 2.0, "after": 101.0})
    assert bound.holds({"before": 50.0, "after": 150.0})
