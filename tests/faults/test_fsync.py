"""A tenth of what `make faults` does under strace."""

from pathlib import Path

import pytest

from tests.faults import fsync
from tests.faults.report import Scenario, seed


@pytest.mark.timeout(600)
def test_every_acknowledged_write_is_synced_before_its_answer_leaves(tmp_path: Path) -> None:
    """A machine that loses its power takes with it what was only written: no kill of a process shows that."""
    report = fsync.run(Scenario(tmp_path, seed(), share=0.1))
    assert not report.broken, report.broken[0]
    assert set(report.figures.values()) == {100}, "each write has an answer and a commit of its own"
