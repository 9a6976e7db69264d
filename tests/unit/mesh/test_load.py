"""What is known of an endpoint: counts of late, the peak that fades, its weight."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.decide.ewma import PeakEwma
from mesh.decide.load import Load
from mesh.decide.window import Window
from mesh.policy import BalancePolicy

steps = st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.integers(0, 9)), max_size=60)


@given(steps, st.integers(0, 40))
def test_a_window_counts_what_happened_in_its_parts_and_nothing_older(
    story: list[tuple[int, bool, int]], pause: int
) -> None:
    """The breaker opens and the ejection takes away by these counts, whatever the load was before."""
    window, now, all_of_it = Window(10.0), 100, list[tuple[int, bool, int]]()
    for wait, failed, took in story:
        now += wait
        window.add(now, failed=failed, took=took)
        all_of_it.append((now, failed, took))
    now += pause
    window.forget(now)
    late = [one for one in all_of_it if one[0] > now - 10]
    assert (window.calls, window.failures) == (len(late), sum(one[1] for one in late))
    assert window.took == pytest.approx(sum(one[2] for one in late))


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(1e-4, 5)), min_size=1))
def test_the_peak_is_at_once_what_was_worst_and_fades_to_nothing(samples: list[tuple[float, float]]) -> None:
    """Too slow to believe the worse, and a black hole draws calls; too slow to forget, and nobody returns."""
    peak, now = PeakEwma(10.0), 0.0
    for wait, seconds in samples:
        before, now = peak.read(now), now + wait
        assert peak.read(now) <= before
        peak.add(seconds, now)
        assert seconds <= peak.read(now) <= max(seconds, before)
    assert peak.read(now + 10) == pytest.approx(peak.read(now) * 0.368, rel=0.01)
    assert peak.read(now + 200) < 1e-6


def a_load(now: float = 0.0) -> Load:
    return Load(BalancePolicy(), 1.5, now)


def test_who_is_new_or_has_returned_comes_to_its_full_share_slowly() -> None:
    """A cold cache and a full share of the calls are the next outage."""
    load = a_load()
    assert [round(load.weight(now), 2) for now in (0, 2.5, 5, 9)] == [0.1, 0.55, 1.0, 1.0]
    load.share = 0.5
    assert load.weight(9) == 0.5
    load.answered(0.3, 9)
    load.anew(20)
    assert (load.cost(20), load.recent.calls, round(load.weight(20), 2)) == (0, 0, 0.05)


def test_what_failed_counts_as_slow_and_never_as_less_than_is_known() -> None:
    """A replica that fails in a millisecond would otherwise draw every call."""
    load = a_load()
    load.answered(0.2, 0)
    load.failed(0.001, 1)
    assert load.cost(1) == pytest.approx(0.2 * 0.905, rel=0.01)
    load.failed(5.0, 1)
    assert load.cost(1) == 5.0
    assert (load.recent.calls, load.recent.failures) == (3, 2)


def test_what_is_given_up_counts_as_at_least_so_slow_and_as_no_failure() -> None:
    """Callers in a hurry say how long they waited and nothing else."""
    load = a_load()
    load.answered(0.2, 0)
    load.gave_up(0.1, 0)
    assert load.cost(0) == 0.2
    load.gave_up(0.6, 0)
    assert load.cost(0) == 0.6
    assert (load.recent.calls, load.recent.failures) == (1, 0)


def test_the_first_answer_after_a_long_silence_is_all_that_is_known() -> None:
    """It failed once, was left alone for that, and is well: the old peak must not keep its calls away."""
    load = a_load()
    assert load.begin(0) is False
    load.failed(5.0, 0)
    silent = load.begin(6)
    assert silent is True
    load.answered(0.01, 6, silent=silent)
    assert load.cost(6) == 0.01
