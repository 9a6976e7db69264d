"""Each row of `make resilience` in short, with real processes: counts and states, no times."""

import pytest

from benchmarks.report import Kind
from benchmarks.row import Scale
from benchmarks.rows import ROWS

SHORT = Scale(share=0.03, saturation=400)


@pytest.mark.parametrize("name", sorted(ROWS))
async def test_a_row_is_kept_in_its_counts(name: str) -> None:
    """A mesh that loses calls when a replica dies is not worth its place. How fast it is, `make resilience` shows."""
    row = ROWS[name]
    outcome = await row.run(SHORT, ways=row.ways[:1])
    assert outcome.broken_of(Kind.COUNT) == []
    assert outcome.figures["calls"] > 300
