"""Each row of `make resilience` in short, with real processes: counts and states, no times."""

import pytest

from benchmarks.report import Kind
from benchmarks.row import Scale
from benchmarks.rows import ROWS

SHORT = Scale(share=0.05, saturation=250)


@pytest.mark.parametrize("name", sorted(ROWS))
async def test_a_row_is_kept_in_its_counts(name: str) -> None:
    """A mesh that loses calls when a replica dies is not worth its place. How fast it is, `make resilience` shows."""
    outcome = await ROWS[name].run(SHORT, ways=("mesh",))
    assert outcome.broken_of(Kind.COUNT) == []
    assert outcome.by_way["mesh"]["calls"] > 500
