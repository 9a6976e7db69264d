"""How long to pause before the next attempt."""

from random import Random


def full_jitter(attempt: int, base: float, cap: float, rng: Random) -> float:
    """Seconds to pause after attempt number `attempt` (1 for the first) has failed.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: full jitter spreads
    callers that failed together better than any fixed or half-random pause.
    """
    return rng.uniform(0.0, min(cap, base * 2.0 ** min(attempt - 1, 30)))
