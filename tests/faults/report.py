"""What a fault scenario reports, whoever asks for it: `make faults` in full size, the tests at a tenth."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

EVERY = 5.0  # seconds between two lines of progress

Tell = Callable[[str], None]
"""Prints progress, a line at a time."""


@dataclass(frozen=True)
class Report:
    """What happened.

    Attributes:
        figures: what was counted, in the order in which it is to be read.
        broken: each broken promise in a sentence, with the smallest witness; empty when every promise was kept.
    """

    figures: Mapping[str, object]
    broken: Sequence[str] = ()


@dataclass(frozen=True)
class Scenario:
    """How large a run is and where it happens.

    Attributes:
        folder: empty, for databases and logs of this run alone.
        seed: of everything that is drawn.
        share: of the full size; 1.0 by hand, 0.1 in the tests.
        tell: for progress.
    """

    folder: Path
    seed: int = 1
    share: float = 1.0
    tell: Tell = lambda line: None

    def size(self, full: int) -> int:
        """So many of a full size, at least one."""
        return max(1, round(full * self.share))

    def rng(self, name: str) -> Random:
        """Draws that the seed and a name repeat."""
        return Random(f"{self.seed} {name}")


@asynccontextmanager
async def telling(scenario: Scenario, line: Callable[[], str]) -> AsyncIterator[None]:
    """Tells how far it is, now and then, while the block lasts."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(EVERY)
            scenario.tell(line())

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()


def seed() -> int:
    """The seed of the tests: CAREMESH_TEST_SEED, or 1."""
    return int(os.environ.get("CAREMESH_TEST_SEED", "1"))
