"""The breaker's decisions, against stated invariants."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mesh.decide.circuit import Circuit, Outcome, Permit
from mesh.policy import CircuitPolicy


def circuit(**figures: float) -> Circuit:
    return Circuit(CircuitPolicy(**figures), Random(1))  # type: ignore[arg-type]  # whole numbers where they are meant


def failed(breaker: Circuit, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        permit = breaker.acquire(now)
        assert permit is not None
        breaker.settle(permit, Outcome.FAILED, now)


def test_five_failures_in_a_row_open_it() -> None:
    """The rule that takes a dead endpoint out of rotation."""
    breaker = circuit()
    failed(breaker, 4)
    assert breaker.state == "closed"
    failed(breaker, 1)
    assert (breaker.state, breaker.reason) == ("open", "5 failures in a row")
    assert breaker.acquire(0.0) is None


def test_a_success_between_starts_the_row_anew() -> None:
    """An endpoint that fails now and then stays."""
    breaker = circuit()
    for _ in range(4):
        failed(breaker, 4)
        permit = breaker.acquire(0.0)
        assert permit is not None
        breaker.settle(permit, Outcome.SUCCEEDED, 0.0)
        breaker._recent.clear()
    assert breaker.state == "closed"


def test_half_of_twenty_calls_open_it_and_older_ones_do_not_count() -> None:
    """The rule for an endpoint that fails half its calls, which five in a row may never catch."""
    breaker = circuit(in_a_row=100)
    for number in range(20):
        permit = breaker.acquire(number * 0.1)
        assert permit is not None
        breaker.settle(permit, Outcome.FAILED if number % 2 else Outcome.SUCCEEDED, number * 0.1)
    assert breaker.state == "open"

    slow = circuit(in_a_row=100)
    for number in range(40):
        failed(slow, 1, number * 1.0)  # never twenty within ten seconds
    assert slow.state == "closed"


def test_each_opening_lasts_twice_as_long_up_to_the_cap() -> None:
    """An endpoint that stays dead is asked ever less often."""
    breaker, now, waits = circuit(), 0.0, []
    failed(breaker, 5, now)
    for _ in range(8):
        waits.append(breaker.until - now)
        now = breaker.until
        failed(breaker, 1, now)  # the trial
    for wait, expected in zip(waits, [1, 2, 4, 8, 16, 30, 30, 30], strict=True):
        assert 0.8 * expected <= wait <= 1.2 * expected


def test_a_trial_that_succeeds_closes_it_and_forgets_the_past() -> None:
    """After recovery the next outage starts with a short pause again."""
    breaker = circuit()
    failed(breaker, 5)
    trial = breaker.acquire(breaker.until)
    assert trial is not None
    breaker.settle(trial, Outcome.SUCCEEDED, breaker.until)
    assert breaker.state == "closed"
    failed(breaker, 5, 100.0)
    assert breaker.until - 100.0 <= 1.2


def test_a_cancelled_trial_gives_its_permit_back() -> None:
    """Otherwise a caller that hangs up would close the endpoint for good."""
    breaker = circuit()
    failed(breaker, 5)
    now = breaker.until
    trial = breaker.acquire(now)
    assert trial is not None
    assert breaker.acquire(now) is None
    breaker.settle(trial, Outcome.UNDECIDED, now)
    assert breaker.acquire(now) is not None


def test_a_trial_that_never_ends_loses_its_place_and_its_say() -> None:
    """A trial stuck in a black hole keeps nobody out, and its late answer changes nothing."""
    breaker = circuit(trial_limit=2.0)
    failed(breaker, 5)
    now = breaker.until
    stuck = breaker.acquire(now)
    assert stuck is not None
    assert breaker.acquire(now + 1.9) is None
    second = breaker.acquire(now + 2.0)
    assert second is not None
    breaker.settle(stuck, Outcome.FAILED, now + 2.1)
    assert breaker.state == "half-open"
    breaker.settle(second, Outcome.SUCCEEDED, now + 2.2)
    assert breaker.state == "closed"


def test_a_probe_that_succeeds_half_opens_at_once() -> None:
    """A restarted endpoint is used as soon as it says that it serves."""
    breaker = circuit()
    failed(breaker, 5)
    breaker.probed_well()
    assert breaker.state == "half-open"
    assert breaker.acquire(0.0) is not None
    assert breaker.acquire(0.0) is None


steps = st.lists(
    st.one_of(
        st.tuples(st.just("acquire"), st.floats(0, 3)),
        st.tuples(st.just("settle"), st.sampled_from(list(Outcome)), st.integers(0, 50)),
        st.tuples(st.just("probe")),
    ),
    max_size=150,
)


@given(steps)
def test_there_is_at_most_one_living_trial_whatever_happens(story: list[tuple]) -> None:  # type: ignore[type-arg]
    """The invariant that other Python breakers break: fifty of fifty concurrent trials pass theirs."""
    breaker, now, out = circuit(in_a_row=2, trial_limit=5.0), 0.0, list[tuple[Permit, float]]()
    for kind, *rest in story:
        if kind == "acquire":
            now += rest[0]
            permit = breaker.acquire(now)
            if permit is not None:
                out.append((permit, now))
        elif kind == "settle" and out:
            permit, _ = out.pop(rest[1] % len(out))
            breaker.settle(permit, rest[0], now)
        elif kind == "probe":
            breaker.probed_well()
        living = [p for p, since in out if p.trial and p.generation == breaker._generation and now - since < 5.0]
        assert len(living) <= 1
        assert breaker.state in {"closed", "open", "half-open"}
        if breaker.state == "half-open" and living:
            assert breaker.acquire(now) is None


@given(steps)
def test_results_of_an_earlier_state_never_count(story: list[tuple]) -> None:  # type: ignore[type-arg]
    """A late answer must neither open a breaker that has closed nor close one that has opened."""
    breaker, now, out = circuit(in_a_row=2), 0.0, list[Permit]()
    for kind, *rest in story:
        if kind == "acquire":
            now += rest[0]
            permit = breaker.acquire(now)
            out += [permit] if permit else []
        elif kind == "settle" and out:
            permit = out.pop(rest[1] % len(out))
            before = (breaker.state, breaker._generation, breaker.until)
            breaker.settle(permit, rest[0], now)
            if permit.generation != before[1]:
                assert (breaker.state, breaker._generation, breaker.until) == before
        elif kind == "probe":
            breaker.probed_well()
