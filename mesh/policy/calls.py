"""How long calls may take, and how they are made again. The figures are starting points; each says its unit."""

from dataclasses import dataclass

from mesh.policy.mode import Mode


@dataclass(frozen=True, slots=True)
class DeadlinePolicy:
    """How much of the time that a caller grants is handed on.

    Attributes:
        mode: in shadow, and off, a method's own `deadline` ends nothing. What a caller grants always holds.
        reserve: seconds of it that this hop keeps in order to answer, half of what is left at the most.
    """

    mode: Mode = "enforce"
    reserve: float = 0.05


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a failed call is made again, where it may be.

    Attributes:
        base: seconds; the pause before attempt n + 1 is random between 0 and base × 2ⁿ⁻¹,
        cap: at the most so many seconds. What the far side asks for by `grpc-retry-pushback-ms` goes before.
    """

    mode: Mode = "enforce"
    base: float = 0.025
    cap: float = 0.25


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    """How many attempts may be made again, over all calls of a service in a process.

    Attributes:
        share: of the calls of the window,
        per_second: and so many a second of it besides, so that a service that is seldom called has some, too.
        window: seconds that are looked back.
    """

    mode: Mode = "enforce"
    share: float = 0.2
    per_second: float = 10.0
    window: float = 10.0


@dataclass(frozen=True, slots=True)
class HedgePolicy:
    """When a read that takes long is asked of a second endpoint, too, where the method's policy says `hedge`.

    Attributes:
        quantile: such as 0.95; a read is late that takes longer than so many of its method did,
        window: over so many seconds;
        minimum: with fewer reads in them nothing is known, and none is late.
        share: of the reads of the window; so many are asked twice at the most.
    """

    mode: Mode = "enforce"
    quantile: float = 0.95
    window: float = 10.0
    minimum: int = 20
    share: float = 0.05


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """How long one attempt of a call that may be made again is waited for.

    Attributes:
        factor: times the quantile of what the method took of late,
        quantile: such as 0.99,
        window: over so many seconds;
        minimum: with fewer attempts in them nothing is known, and it gets the most.
        least, most: seconds, whatever was measured.
    """

    mode: Mode = "enforce"
    factor: float = 4.0
    quantile: float = 0.99
    window: float = 10.0
    minimum: int = 20
    least: float = 0.1
    most: float = 0.6
