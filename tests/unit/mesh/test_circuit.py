"""The breaker's decisions, against stated invariants."""

from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

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


def test_calls_that_fail_together_are_one_failure_in_the_row() -> None:
    """One broken connection, or a pause of our own process, ends all calls under way and says little of the next."""
    breaker = circuit(minimum=100)
    for moment in range(4):
        permits = [breaker.acquire(moment) for _ in range(20)]
        for permit in permits:
            assert permit is not None
            breaker.settle(permit, Outcome.FAILED, moment + 0.5)
    assert breaker.state == "closed"
    failed(breaker, 1, 5.0)
    assert (breaker.state, breaker.reason) == ("open", "5 failures in a row")


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


class Living(RuleBasedStateMachine):
    """Callers, probes and time in any order, and each call ends when it likes, if ever."""

    @initialize(in_a_row=st.integers(1, 4), seed=st.integers(0, 99))
    def begin(self, in_a_row: int, seed: int) -> None:
        self.policy = CircuitPolicy(in_a_row=in_a_row, minimum=6, trial_limit=5.0)
        self.breaker, self.now = Circuit(self.policy, Random(seed)), 100.0
        self.out = list[tuple[Permit, float]]()

    @rule(seconds=st.floats(0, 12))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def somebody_calls(self) -> None:
        before, until, living = self.breaker.state, self.breaker.until, self.trials()
        permits = self.breaker.permits(self.now)
        permit = self.breaker.acquire(self.now)
        assert permits is (permit is not None), "what is promised is given"
        if before == "closed":
            assert permit is not None
        if before == "open":
            assert (permit is None) is (self.now < until), "nothing before its time, and then a trial"
        if living:
            assert permit is None, "one trial at a time"
        if permit:
            assert permit.trial is (self.breaker.state == "half-open")
            self.out.append((permit, self.now))

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 99), outcome=st.sampled_from(list(Outcome)))
    def a_call_ends(self, which: int, outcome: Outcome) -> None:
        permit, _ = self.out.pop(which % len(self.out))
        before, counts = self.seen(), permit.generation == self.breaker._generation
        self.breaker.settle(permit, outcome, self.now)
        if not counts:
            assert self.seen() == before, "a late answer changes nothing"
        elif outcome is Outcome.UNDECIDED:
            assert self.breaker.state == before[0]
            assert not permit.trial or self.breaker.permits(self.now), "an undecided trial gives its permit back"
        elif permit.trial:
            assert self.breaker.state == ("closed" if outcome is Outcome.SUCCEEDED else "open")

    @rule()
    def a_probe_succeeds(self) -> None:
        before = self.breaker.state
        self.breaker.probed_well()
        assert self.breaker.state == ("half-open" if before == "open" else before)

    @invariant()
    def at_most_one_trial_lives_and_nobody_is_kept_out_for_good(self) -> None:
        assert len(self.trials()) <= 1
        assert self.breaker.reason
        assert self.breaker.state in {"closed", "open", "half-open"}
        later = self.now + max(self.policy.trial_limit, 1.2 * self.policy.open_cap)
        assert self.breaker.permits(later)

    def trials(self) -> list[Permit]:
        generation, limit = self.breaker._generation, self.policy.trial_limit
        return [
            permit
            for permit, since in self.out
            if permit.trial and permit.generation == generation and self.now - since < limit
        ]

    def seen(self) -> tuple[str, str, float, int]:
        return self.breaker.state, self.breaker.reason, self.breaker.until, self.breaker._generation


TestLiving = Living.TestCase
"""Other Python breakers let fifty of fifty concurrent trials through, and count late answers."""
