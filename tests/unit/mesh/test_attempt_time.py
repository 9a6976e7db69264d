"""How long an attempt is waited for."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from mesh.decide.attempt_time import AttemptTimes, Latencies
from mesh.policy import AttemptPolicy

POLICY = AttemptPolicy()
TOOK = st.floats(1e-5, 50.0)


@given(st.lists(TOOK, min_size=POLICY.minimum, max_size=300), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_never_too_low_and_at_most_a_fifth_too_high(took: list[float], quantile: float) -> None:
    """Too low would give up attempts that are well; much too high would wait for the dead."""
    latencies = Latencies(AttemptPolicy(quantile=quantile))
    for seconds in took:
        latencies.add(seconds, 0.5)
    latencies.turn(1.5)
    exact = sorted(took)[ceil(quantile * len(took)) - 1]
    assert latencies.quantile is not None
    assert exact * 0.999 <= latencies.quantile <= max(1e-4, exact) * 1.19


@given(st.lists(st.tuples(st.floats(0, 30), TOOK), max_size=200))
def test_an_attempt_is_waited_for_within_its_bounds(took: list[tuple[float, float]]) -> None:
    """Whatever was measured: a tenth of a second is no sign of death, and six tenths are enough."""
    times, now = AttemptTimes(POLICY), 0.0
    for pause, seconds in took:
        now += pause
        times.took("m", seconds, now)
        assert POLICY.least <= times.granted("m", now) <= POLICY.most


def test_it_follows_what_each_method_took_of_late() -> None:
    """A slow report must not have the quick reads wait for the dead as long as it takes itself."""
    times = AttemptTimes(POLICY)
    for _ in range(POLICY.minimum):
        times.took("quick", 0.002, 0.5)
        times.took("slow", 0.1, 0.5)
    assert times.granted("quick", 1.5) == POLICY.least
    assert 0.4 <= times.granted("slow", 1.5) <= 0.48
    assert times.granted("never called", 1.5) == POLICY.most
    assert times.granted("quick", 12.5) == POLICY.most, "of long ago, nothing is known any more"


def test_few_attempts_say_nothing() -> None:
    """The slowest of three is no quantile."""
    times = AttemptTimes(POLICY)
    for _ in range(POLICY.minimum - 1):
        times.took("m", 0.002, 0.5)
    assert times.granted("m", 1.5) == POLICY.most


def test_a_service_that_becomes_slow_is_waited_for_longer() -> None:
    """Attempts given up count with the time they had, or a service slower than the bound would be given up for ever."""
    times, now, granted = AttemptTimes(POLICY), 0.5, [0.0]
    for _ in range(100):
        times.took("m", 0.002, now)
    while granted[-1] < POLICY.most:
        now += 1.0
        granted.append(times.granted("m", now))
        for _ in range(100):
            times.took("m", granted[-1], now)
        assert len(granted) < 6
    assert granted[1] == POLICY.least
