"""How many calls may be under way, by what they take."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mesh.decide.limit import Begun, Limit
from mesh.decide.turns import SHARES
from mesh.policy import AdmissionPolicy

POLICY = AdmissionPolicy()
WINDOW = POLICY.window / POLICY.minimum  # seconds between calls that fill a window


class Followed:
    """A limit whose calls come one after the other, each begun while so much is under way as the test says."""

    def __init__(self) -> None:
        self.limit, self.now = Limit(POLICY, 0.0), 0.0

    def quiet(self, took: float = 0.04, calls: int = 2 * POLICY.minimum) -> None:
        """Calls while there is little to do."""
        for _ in range(calls):
            self.call(took)

    def busy(self, took: float = 0.04, windows: int = 1, ending: str = "done", *, held_back: bool = True) -> None:
        """Calls while as many are under way as may be."""
        for _ in range(windows * (POLICY.minimum + 1)):
            others = [self.limit.begin(self.now) for _ in range(self.limit.room(self.now) - 1)]
            if held_back:
                self.limit.crowded()
            self.call(took, ending)
            for other in others:
                self.limit.end("other", other, self.now, "unsaid")

    def call(self, took: float, ending: str = "done") -> Begun:
        begun = self.limit.begin(self.now)
        self.now += max(took, WINDOW)
        # What is told is what it took; time goes on by at least what makes a window pass.
        self.limit.end("m", begun._replace(at=self.now - took), self.now, ending)  # type: ignore[arg-type]
        return begun


def test_the_limit_grows_only_when_it_holds_calls_back() -> None:
    """Else it would grow while there is little to do, and be of no use when there is much."""
    one = Followed()
    one.quiet()
    one.busy(windows=3, held_back=False)
    assert one.limit.limit == POLICY.first
    one.busy(windows=3)
    assert one.limit.limit > POLICY.first
    assert one.limit.why == "room_for_more"


def test_calls_that_take_longer_than_unloaded_lower_it() -> None:
    """What waits within the service cannot be refused cheaply any more."""
    one = Followed()
    one.quiet()
    one.busy(took=0.2, windows=2)
    assert one.limit.limit < POLICY.first
    assert one.limit.why == "slower_than_unloaded"


def test_the_loops_lag_counts_as_time_of_the_calls() -> None:
    """A call that waits for the loop is slow before any handler could measure it."""
    one = Followed()
    one.quiet()
    for _ in range(20):
        one.limit.lagged(0.3)
    one.busy(windows=2)
    assert one.limit.limit < POLICY.first
    assert one.limit.why == "slower_than_unloaded"


def test_what_a_method_takes_is_compared_with_its_own_time() -> None:
    """Histories that take long are no overload; a mean over all methods would take them for one."""
    one = Followed()
    for _ in range(2 * POLICY.minimum):
        for method, took in (("quick", 0.001), ("slow", 1.0)):
            begun = one.limit.begin(one.now)
            one.now += took
            one.limit.end(method, begun, one.now)
    assert one.limit.unloaded("quick") is not None
    before = one.limit.limit
    for _ in range(3 * POLICY.minimum):
        begun = one.limit.begin(one.now)
        one.now += 1.0
        one.limit.end("slow", begun, one.now)
    assert one.limit.limit == before


def test_little_is_let_in_until_unloaded_times_are_known_anew() -> None:
    """Measured under load they would follow it, and the limit with them, little by little and without end."""
    one = Followed()
    one.quiet()
    whole = one.limit.room(one.now)
    assert one.limit.room(one.now + 2 * POLICY.check) == whole * POLICY.unloaded
    one.now += 2 * POLICY.check
    one.quiet()
    assert one.limit.room(one.now) == whole


ENDINGS = st.sampled_from(["done", "lost", "unsaid"])


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 40), ENDINGS, st.booleans()), max_size=300))
def test_whatever_happens_the_limit_stays_within_its_bounds(steps: list[tuple[float, int, str, bool]]) -> None:
    """Below the least nothing could be measured any more, and nobody would be let in again."""
    limit, now, running = Limit(POLICY, 0.0), 0.0, list[Begun]()
    for seconds, which, ending, begins in steps:
        now += seconds
        if begins and limit.in_flight < limit.room(now):
            running.append(limit.begin(now))
        elif running:
            limit.end("m", running.pop(which % len(running)), now, ending)  # type: ignore[arg-type]
        assert limit.in_flight == len(running)
        assert POLICY.least <= limit.limit <= POLICY.most
        assert limit.room(now) >= 1


@given(seed=st.integers(0, 2**32))
def test_while_every_call_is_lost_the_limit_never_grows(seed: int) -> None:
    """A limit that takes silence for room lets in ever more calls, none of which is answered."""
    limit, now, rng = Limit(POLICY, 0.0), 0.0, Random(seed)
    for _ in range(200):
        before, begun = limit.limit, limit.begin(now)
        now += rng.uniform(0.01, 3.0)
        if rng.random() < rng.random():
            limit.crowded()
        limit.end("m", begun, now, "lost")
        assert limit.limit <= before
    assert limit.limit < POLICY.first


def test_an_error_in_what_calls_take_unloaded_gets_smaller_each_time_it_is_measured() -> None:
    """Otherwise it would get larger each time, and the limit with it."""
    assert POLICY.unloaded * POLICY.tolerance < min(SHARES.values())
