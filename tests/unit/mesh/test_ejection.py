"""Who is taken away for doing worse than the others, and who never."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mesh.decide.ejection import LEAST_WEIGHT, Change, Judged, Standing, judge
from mesh.policy import EjectionPolicy

POLICY = EjectionPolicy()
CALLS = 40


class Several:
    """Endpoints with what is seen of each: its share of failures, and the seconds of an answer."""

    def __init__(self, count: int) -> None:
        self.standings = {f"{number}:1": Standing() for number in range(count)}
        self.failing = dict.fromkeys(self.standings, 0.0)
        self.took = dict.fromkeys(self.standings, 0.01)
        self.calls = dict.fromkeys(self.standings, CALLS)
        self.usable = dict.fromkeys(self.standings, True)
        self.now = 100.0

    def judge(self, times: int = 1) -> list[Change]:
        changes = list[Change]()
        for _ in range(times):
            self.now += POLICY.interval
            changes += judge(POLICY, [self.judged(address) for address in self.standings], self.now)
        return changes

    def judged(self, address: str) -> Judged:
        standing, calls = self.standings[address], self.calls[address]
        if standing.state == "ejected":
            calls = 0
        failures = round(calls * self.failing[address])
        took = (calls - failures) * self.took[address]
        return Judged(address, standing, calls, failures, took, self.usable[address])

    def states(self) -> list[str]:
        return [standing.state for standing in self.standings.values()]


def test_who_fails_more_than_the_others_gets_half_then_a_quarter_then_nothing() -> None:
    """A weight first: a hiccup of a second costs a replica some of its calls, not all of them."""
    several = Several(2)
    several.failing["0:1"] = 0.5
    weights = []
    for _ in range(3):
        several.judge()
        weights.append((several.standings["0:1"].weight, several.standings["0:1"].state))
    assert weights == [(0.5, "lowered"), (0.25, "lowered"), (0.25, "ejected")]
    assert several.standings["0:1"].reason == "50% of its calls failed, and 0% of those of the others"


def test_who_takes_much_longer_than_the_others_median_goes_too() -> None:
    """It answers, so no breaker ever sees it."""
    several = Several(3)
    several.took["1:1"] = 0.2
    several.judge(3)
    assert several.states() == ["in rotation", "ejected", "in rotation"]
    assert several.standings["1:1"].reason == "its calls took 200 ms, those of the others 10 ms"


def test_failures_that_come_quickly_make_nobody_else_look_slow() -> None:
    """The well one of two takes ten times as long as the one that refuses in a millisecond."""
    several = Several(2)
    several.failing["0:1"], several.took["1:1"] = 1.0, 0.05
    several.judge(3)
    assert several.states() == ["ejected", "in rotation"]


def test_what_all_of_them_do_is_no_reason() -> None:
    """An outage of the database behind all replicas must not leave one of them with every call."""
    several = Several(3)
    several.failing = dict.fromkeys(several.failing, 0.6)
    several.took = dict.fromkeys(several.took, 2.0)
    assert several.judge(10) == []


def test_a_difference_of_some_milliseconds_is_no_reason_either() -> None:
    """Two milliseconds are four times half a one, and nobody cares."""
    several = Several(2)
    several.took = {"0:1": 0.002, "1:1": 0.0005}
    assert several.judge(10) == []


def test_few_calls_say_nothing() -> None:
    """One of two calls is half of them."""
    several = Several(2)
    several.failing["0:1"], several.calls["0:1"] = 1.0, POLICY.minimum - 1
    assert several.judge(10) == []


def test_it_returns_when_its_time_is_over_and_stays_away_longer_each_time() -> None:
    """Whoever is still ill is asked ever less often."""
    several, away = Several(2), []
    several.failing["0:1"] = 1.0
    for _ in range(5):
        while several.states()[0] != "ejected":
            several.judge()
        away.append(several.standings["0:1"].until - several.now)
        several.now = several.standings["0:1"].until
        (back, *_) = several.judge()
        assert (back.before, back.address) == ("ejected", "0:1")
    assert away == [5, 10, 20, 40, 60]


def test_long_in_rotation_is_as_good_as_new() -> None:
    """Last week's trouble must not make today's ejection a minute long."""
    several = Several(2)
    several.failing["0:1"] = 1.0
    several.judge(3)
    several.failing["0:1"] = 0.0
    several.judge(200)
    several.failing["0:1"] = 1.0
    several.judge(3)
    assert several.standings["0:1"].until - several.now == POLICY.eject_for


def test_one_that_comes_right_again_gets_its_share_back() -> None:
    """And the change is told, with its reason."""
    several = Several(2)
    several.failing["0:1"] = 0.5
    several.judge(2)
    several.failing["0:1"] = 0.0
    (change,) = several.judge(2)
    assert change == Change("0:1", "lowered", "in rotation", "it does as well as the others again")
    assert several.standings["0:1"].weight == 1.0


def test_the_last_usable_one_stays_and_an_event_says_so_once() -> None:
    """A poor answer is better than none; whoever looks must see why it still gets calls."""
    several = Several(2)
    several.failing["0:1"], several.usable["1:1"] = 0.5, False
    changes = several.judge(10)
    assert [change.after for change in changes] == ["lowered", "withheld"]
    assert several.standings["0:1"].weight == LEAST_WEIGHT
    several.usable["1:1"] = True
    several.judge()
    assert several.states() == ["ejected", "in rotation"]


def test_at_most_half_of_them_are_away_at_one_time() -> None:
    """The rest would have to take all their calls."""
    several = Several(3)
    several.failing["0:1"] = several.failing["1:1"] = 1.0
    several.judge(4)
    assert sorted(several.states()) == ["ejected", "in rotation", "lowered"]


def test_how_long_it_takes_is_how_long_what_succeeds_takes() -> None:
    """Failures that come at once would make a slow one look quick."""
    several = Several(2)
    several.failing["0:1"], several.took["0:1"] = 0.2, 0.045
    several.judge()
    assert several.standings["0:1"].reason == "its calls took 45 ms, those of the others 10 ms"


class Ejecting(RuleBasedStateMachine):
    """Any number of endpoints, each well, slow, failing, idle or gone, in any order."""

    @initialize(count=st.integers(1, 7))
    def begin(self, count: int) -> None:
        self.several = Several(count)

    @rule(
        which=st.integers(0, 6),
        failing=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        took=st.sampled_from([0.001, 0.01, 0.2, 2.0]),
        calls=st.sampled_from([0, 5, CALLS]),
        usable=st.booleans(),
    )
    def becomes(self, which: int, failing: float, took: float, calls: int, *, usable: bool) -> None:
        several = self.several
        address = f"{which % len(several.standings)}:1"
        several.failing[address], several.took[address] = failing, took
        several.calls[address], several.usable[address] = calls, usable

    @rule(times=st.integers(1, 30))
    def time_passes(self, times: int) -> None:
        several = self.several
        for _ in range(times):
            before = dict(zip(several.standings, several.states(), strict=True))
            newly = [change.address for change in several.judge() if change.after == "ejected"]
            after = dict(zip(several.standings, several.states(), strict=True))
            for address in newly:
                assert before[address] == "lowered", "a weight first"
            if newly:
                assert any(several.usable[one] and after[one] != "ejected" for one in after), "never the last one"

    @invariant()
    def at_most_half_are_away_and_nobody_for_good(self) -> None:
        states = self.several.states()
        assert states.count("ejected") <= len(states) / 2
        for standing in self.several.standings.values():
            assert LEAST_WEIGHT <= standing.weight <= 1.0
            assert standing.until <= self.several.now + POLICY.eject_cap
            assert (standing.state == "in rotation") is (standing.weight == 1.0)


TestEjecting = Ejecting.TestCase


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1e-4, 2)), min_size=1, max_size=1))
def test_one_alone_is_never_judged(figures: list[tuple[float, float]]) -> None:
    """There is nobody to compare it with."""
    several = Several(1)
    several.failing["0:1"], several.took["0:1"] = figures[0]
    assert several.judge(5) == []
