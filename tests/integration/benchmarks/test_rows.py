"""Each row of `make resilience` and `make bench` in short, with real processes: counts and states, no times."""

import pytest

from benchmarks.report import Kind
from benchmarks.row import Row
from benchmarks.rows import ROWS
from benchmarks.scale import Scale

SHORT = Scale(share=0.03, saturation=300, patience=5)


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
async def test_a_row_is_kept_in_its_counts(row: Row) -> None:
    """A mesh that loses calls when a replica dies is not worth its place. How fast it is, `make resilience` shows."""
    outcome = await row.run(SHORT, ways=row.ways[:1])
    assert outcome.broken_of(Kind.COUNT) == []
    assert outcome.figures["calls"] > 100
