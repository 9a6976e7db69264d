"""How many retries are granted, however the calls come."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from mesh.decide.budget import Budget
from mesh.policy import BudgetPolicy

POLICY = BudgetPolicy()
FLOOR = POLICY.per_second * POLICY.window
PART = POLICY.window / 10  # by which the window may be longer than it says
# Bursts of calls, each call followed by a wish for some retries, with pauses between the bursts.
BURSTS = st.lists(
    st.tuples(st.floats(0, 15, allow_nan=False), st.integers(0, 400), st.integers(0, 5)), min_size=1, max_size=40
)


def played(bursts: list[tuple[float, int, int]]) -> tuple[list[float], list[float]]:
    """The moments of the calls, and of the retries that were granted."""
    budget, now = Budget(POLICY), 1000.0
    calls, retries = list[float](), list[float]()
    for pause, count, wishes in bursts:
        now += pause
        for _ in range(count):
            budget.called(now)
            calls.append(now)
        for _ in range(wishes * max(1, count)):
            if budget.left(now) >= 1:
                budget.spend(now)
                retries.append(now)
    return calls, retries


@given(BURSTS)
def test_attempts_are_at_most_a_fifth_more_than_calls_and_ten_a_second(bursts: list[tuple[float, int, int]]) -> None:
    """The bound that keeps an outage from being met by three times the load."""
    calls, retries = played(bursts)
    seconds = sum(pause for pause, _, _ in bursts)
    windows = max(1, ceil(seconds / POLICY.window))
    assert len(calls) + len(retries) <= 1.2 * len(calls) + 10 * POLICY.window * windows + 1e-6


@given(BURSTS)
def test_no_retry_is_granted_beyond_its_window(bursts: list[tuple[float, int, int]]) -> None:
    """Calls of long ago pay for nothing."""
    calls, retries = played(bursts)
    for end in set(retries):
        within = sum(end - POLICY.window < moment <= end for moment in retries)
        paid = sum(end - POLICY.window - PART < moment <= end for moment in calls)
        assert within <= FLOOR + 0.2 * paid + 1e-6


@given(BURSTS, st.floats(0, 15))
def test_what_is_left_is_what_the_window_has_not_spent(bursts: list[tuple[float, int, int]], pause: float) -> None:
    """A service that is seldom called has its retries, too; and a long calm gives everything back."""
    budget, now = Budget(POLICY), 1000.0
    for before, count, wishes in bursts:
        now += before
        for _ in range(count):
            budget.called(now)
        for _ in range(min(wishes, budget.left(now))):
            budget.spend(now)
    spent = sum(wishes for _, _, wishes in bursts)
    assert budget.left(now) >= FLOOR - spent
    assert budget.left(now + POLICY.window + PART + pause) == FLOOR
