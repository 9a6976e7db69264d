"""Which endpoint does so much worse than the others that it gets less, and then nothing for a while.

in rotation ──an outlier──▶ lowered: half, a quarter ──still one──▶ ejected ──its time is over──▶ in rotation
     ▲                                  │
     └────── no outlier any more ───────┘

Source: Envoy's outlier detection, for what it compares and how many it may take away.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from mesh.policy.endpoints import EjectionPolicy

LEAST_WEIGHT = 0.25


@dataclass(slots=True)
class Standing:
    """How one endpoint stands beside the others.

    Attributes:
        state: "in rotation", "lowered" or "ejected".
        reason: why.
        weight: the share that it gets of the calls that would be its own.
        until: the moment at which an ejected one returns.
        ejections: how many in a row, each twice as long as the one before.
        withheld: it would be ejected if there were not too few others.
    """

    state: str = "in rotation"
    reason: str = "new"
    weight: float = 1.0
    until: float = 0.0
    ejections: int = 0
    withheld: bool = False


class Judged(NamedTuple):
    """One endpoint, and what was seen of it in the last seconds.

    Attributes:
        took: seconds that the calls took that did not fail, all together.
        usable: could it be asked now, were it not ejected?
    """

    address: str
    standing: Standing
    calls: int
    failures: int
    took: float
    usable: bool


class Change(NamedTuple):
    """One that stands otherwise than before, or should and must not: `after` is "withheld" then."""

    address: str
    before: str
    after: str
    reason: str


def judge(policy: EjectionPolicy, endpoints: Sequence[Judged], now: float) -> list[Change]:
    """Looks at all endpoints of a service, changes how they stand, and says what changed."""
    before = {one.address: (one.standing.state, one.standing.withheld) for one in endpoints}
    for one in endpoints:
        if one.standing.state == "ejected" and one.standing.until <= now:
            _return(one.standing, "its time is over")
    outliers = _outliers(policy, [one for one in endpoints if one.standing.state != "ejected"])
    for one in endpoints:
        if one.address in outliers:
            _worsen(policy, one, endpoints, outliers[one.address], now)
        elif one.standing.state == "lowered":
            _better(one.standing)
    return [change for one in endpoints if (change := _change(one, *before[one.address]))]


def _outliers(policy: EjectionPolicy, endpoints: Sequence[Judged]) -> Mapping[str, str]:
    """Those that do much worse than the median of the others, and in what."""
    minimum = max(1, policy.minimum)
    shares = {one.address: one.failures / one.calls for one in endpoints if one.calls >= minimum}
    means = {
        one.address: one.took / succeeded for one in endpoints if (succeeded := one.calls - one.failures) >= minimum
    }
    found: dict[str, str] = {}
    for address, mean, others in _beside_others(means):
        if mean >= max(policy.slower * others, others + policy.least):
            found[address] = f"its calls took {mean * 1000:.0f} ms, those of the others {others * 1000:.0f} ms"
    for address, share, others in _beside_others(shares):
        if share >= others + policy.share:
            found[address] = f"{share:.0%} of its calls failed, and {others:.0%} of those of the others"
    return found


def _beside_others(figures: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Each with the median of the others; nobody where there are none."""
    if len(figures) < 2:  # noqa: PLR2004
        return []
    in_order = sorted(figures.values())
    beside = []
    for address, figure in figures.items():
        place = bisect_left(in_order, figure)
        beside.append((address, figure, median(in_order[:place] + in_order[place + 1 :])))
    return beside


def _worsen(policy: EjectionPolicy, one: Judged, endpoints: Sequence[Judged], reason: str, now: float) -> None:
    standing = one.standing
    standing.reason = reason
    if standing.weight > LEAST_WEIGHT:
        standing.state, standing.weight = "lowered", standing.weight / 2
    elif not _may_go(policy, one, endpoints):
        standing.withheld = True
    else:
        if now - standing.until >= policy.eject_cap:
            standing.ejections = 0
        standing.until = now + min(policy.eject_cap, policy.eject_for * 2.0 ** min(standing.ejections, 30))
        standing.ejections += 1
        standing.state, standing.withheld = "ejected", False


def _may_go(policy: EjectionPolicy, one: Judged, endpoints: Sequence[Judged]) -> bool:
    away = sum(other.standing.state == "ejected" for other in endpoints)
    somebody = any(other.usable and other.standing.state != "ejected" for other in endpoints if other is not one)
    return somebody and away + 1 <= policy.most * len(endpoints)


def _better(standing: Standing) -> None:
    standing.withheld = False
    standing.weight *= 2
    if standing.weight >= 1.0:
        _return(standing, "it does as well as the others again")


def _return(standing: Standing, reason: str) -> None:
    standing.state, standing.reason, standing.weight = "in rotation", reason, 1.0


def _change(one: Judged, state: str, withheld: bool) -> Change | None:  # noqa: FBT001  # as it was
    standing = one.standing
    if standing.state != state:
        return Change(one.address, state, standing.state, standing.reason)
    if standing.withheld and not withheld:
        return Change(one.address, state, "withheld", standing.reason)
    return None
