"""How many calls may be under way at one time, by what they take compared to what they take unloaded.

A limit that compares what calls take now with what they took of late follows a mild overload upwards, little by little.
So what they take unloaded is measured only while little is under way, and where that does not come about by itself,
less is let in until it has been. An estimate that was too high lets the limit rise above what the far side does at
a time; but then the next one is measured with a part of that limit only, and the error gets smaller each time.

Source: Envoy's adaptive concurrency (minRTT), Netflix's concurrency-limits (gradient), BBR's ProbeRTT.
"""

from typing import Literal, NamedTuple

from mesh.policy.admission import AdmissionPolicy

REMEMBERED = 50  # calls that a method's unloaded time is the mean of
LOST = 0.1  # with a larger share of lost calls the limit does not grow
STEP = 1.25  # the limit changes at most by this factor a window
LAGGING = 0.3  # the say of the last look at the loop's lag

Told = Literal["done", "lost", "unsaid"]
"""It took what it took; it took longer than anybody waited; it says nothing of how long it would have taken."""
Why = Literal["slower_than_unloaded", "calls_lost", "room_for_more"]
"""Why a limit changed."""


class Begun(NamedTuple):
    """A call that was let in. `unloaded`: little was under way then.

    What came later does not count: of those that began together the quick ones end while there is little to do still,
    and with them alone calls would seem to take less than they do.
    """

    at: float
    unloaded: bool


class Limit:
    """Followed call by call; to add one costs the same however many are under way.

    Attributes:
        in_flight: calls under way.
        limit: as many as may be, and a fraction.
        why: it last changed so.
    """

    __slots__ = (
        "_actual",
        "_allowed",
        "_bound",
        "_calls",
        "_checked",
        "_lag",
        "_lost",
        "_policy",
        "_seen",
        "_since",
        "_unloaded",
        "in_flight",
        "limit",
        "why",
    )

    def __init__(self, policy: AdmissionPolicy, now: float) -> None:
        self._policy = policy
        self.in_flight, self.limit, self.why = 0, float(policy.first), "room_for_more"
        self._unloaded = dict[str, tuple[int, float]]()  # by method: calls and their mean
        self._seen, self._checked = 0, now - policy.check
        self._lag = 0.0
        self._anew(now)

    def room(self, now: float) -> int:
        """So many calls may be under way now."""
        checking = now - self._checked > self._policy.check
        return max(1, int(self.limit * (self._policy.unloaded if checking else 1.0)))

    def unloaded(self, method: str) -> float | None:
        """Seconds that a method's calls take when there is little to do; None while that is not known."""
        known = self._unloaded.get(method)
        return known[1] if known else None

    def begin(self, now: float) -> Begun:
        """One more is under way."""
        self.in_flight += 1
        return Begun(now, self.in_flight <= max(1.0, self.limit * self._policy.unloaded))

    def crowded(self) -> None:
        """Somebody is not let in at once: the limit is what holds calls back."""
        self._bound = True

    def lagged(self, seconds: float) -> None:
        """The loop was so late with something: calls wait that long before anybody sees them, too."""
        self._lag += (seconds - self._lag) * LAGGING

    def allowed(self, method: str) -> float | None:
        """Seconds that they may take; None while nothing is known."""
        unloaded = self.unloaded(method)
        if unloaded is None:
            return None
        return max(self._policy.tolerance * unloaded, unloaded + self._policy.slack)

    def end(self, method: str, begun: Begun, now: float, ending: Told = "done", *, took: float | None = None) -> bool:
        """It is over, after so many seconds if not after those since it began. True if the limit was looked at."""
        took = now - begun.at if took is None else took
        self.in_flight -= 1
        if ending == "unsaid":
            return False
        if ending == "done" and begun.unloaded:
            self._learn(method, took, now)
        if begun.at < self._since:
            return False  # it belongs to the limit of before
        self._calls += 1
        self._lost += ending == "lost"
        allowed = self.allowed(method)
        if allowed is not None:
            self._allowed += allowed
            self._actual += took + self._lag
        if now - self._since < self._policy.window or self._calls < self._policy.minimum:
            return False
        self._look()
        self._anew(now)
        return True

    def _learn(self, method: str, took: float, now: float) -> None:
        calls, mean = self._unloaded.get(method, (0, 0.0))
        calls = min(calls + 1, REMEMBERED)
        self._unloaded[method] = calls, mean + (took - mean) / calls
        self._seen += 1
        if self._seen >= self._policy.minimum:
            self._seen, self._checked = 0, now

    def _look(self) -> None:
        factor = STEP
        if self._allowed:
            factor = min(STEP, max(1 / STEP, self._allowed / max(self._actual, 1e-9)))
        self.why = "room_for_more" if factor > 1 else "slower_than_unloaded"
        if self._lost > LOST * self._calls:
            factor, self.why = 1 / STEP, "calls_lost"
        if factor < 1 or self._bound:
            self.limit = min(float(self._policy.most), max(float(self._policy.least), self.limit * factor))

    def _anew(self, now: float) -> None:
        self._since, self._calls, self._lost = now, 0, 0
        self._allowed, self._actual, self._bound = 0.0, 0.0, False
