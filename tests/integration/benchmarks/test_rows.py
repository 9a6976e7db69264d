"""Each row of `make resilience` and `make bench` in short, with real processes: counts and states, no times."""

import pytest

from benchmarks.report import Kind
from benchmarks.row import Row
from benchmarks.rows import ROWS
from benchmarks.rows.all_of_them import BEYOND
from benchmarks.scale import Scale

SHORT = Scale(share=0.03, saturation=300, patience=5)
FEW = 5


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
async def test_a_row_is_kept_in_its_counts(row: Row) -> None:
    """A mesh that loses calls when a replica dies is not worth its place. How fast it is, `make resilience` shows."""
    outcome = await row.run(SHORT, ways=row.ways[:1])
    few = outcome.figures.get(BEYOND, 0) <= FEW  # a busy machine ends the load some attempts late
    assert [told for told in outcome.broken_of(Kind.COUNT) if not (few and BEYOND in told)] == []
    assert outcome.figures["calls"] > 100
