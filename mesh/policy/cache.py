"""For how long answers are kept. The figures are starting points; each says its unit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How the answers of a service's reads are kept.

    Attributes:
        fresh: seconds for which a kept answer is given without a call,
        stale: further seconds for which it is given when none can be had.
        refused: seconds for which NOT_FOUND is fresh; it is never given stale.
        jitter: each of these times is shorter by up to such a share, so that what came together does not go together.
        patience: seconds that a shared store may take with a request,
        probe_interval: seconds between looks at one that took longer, and is not asked meanwhile.
    """

    fresh: float = 2.0
    stale: float = 300.0
    refused: float = 1.0
    jitter: float = 0.2
    patience: float = 0.05
    probe_interval: float = 1.0
