"""What the endpoints of a service are measured by. The figures are starting points; each says its unit."""

from dataclasses import dataclass

from mesh.policy.mode import Mode


@dataclass(frozen=True, slots=True)
class BalancePolicy:
    """Which endpoint takes an attempt: the one of two that costs less.

    Without it, and in shadow, each available endpoint is as good as any other.

    Attributes:
        decay: seconds in which a latency that was seen loses 63 % of its say.
        failure: seconds that a failed attempt counts as, unless it named its own pushback.
        slow_start: seconds in which an endpoint that is new or has returned comes to its full share,
        first_share: beginning with this part of it; none where all are new.
        silence: seconds after which an endpoint that nobody asked is asked once.
    """

    mode: Mode = "enforce"
    decay: float = 10.0
    failure: float = 5.0
    slow_start: float = 5.0
    first_share: float = 0.1
    silence: float = 5.0


@dataclass(frozen=True, slots=True)
class EjectionPolicy:
    """When an endpoint that does worse than the others gets less, and then nothing for a while.

    Attributes:
        interval: seconds between two looks at all endpoints. At each one that is an outlier gets half of
            what it got before, and is ejected once that would be less than a quarter.
        window: seconds that are looked back,
        minimum: and calls that an endpoint must have had in them to be compared.
        share: it fails so much more of its calls than the others' median,
        slower: or takes so many times as long as theirs,
        least: and so many seconds longer.
        eject_for: seconds it stays away the first time, doubling up to
        eject_cap: seconds; after as long in rotation it begins anew.
        most: at most this share of the endpoints is away at one time, and never the last one.
    """

    mode: Mode = "enforce"
    interval: float = 0.5
    window: float = 1.5
    minimum: int = 10
    share: float = 0.25
    slower: float = 4.0
    least: float = 0.02
    eject_for: float = 5.0
    eject_cap: float = 60.0
    most: float = 0.5


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """When an endpoint's breaker opens, and for how long.

    Attributes:
        in_a_row: so many failures one after another open it, each of a call that began after the one before;
        share: so does this share of failures,
        minimum: of at least so many calls,
        window: within so many seconds.
        open_for: seconds it stays open the first time, doubling up to
        open_cap: seconds.
        trial_limit: seconds after which a trial call that has not ended no longer keeps others out.
    """

    mode: Mode = "enforce"
    in_a_row: int = 5
    share: float = 0.5
    minimum: int = 20
    window: float = 10.0
    open_for: float = 1.0
    open_cap: float = 30.0
    trial_limit: float = 2.0
