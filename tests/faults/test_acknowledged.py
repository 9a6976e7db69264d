"""A tenth of what `make faults` does: nothing that was acknowledged is lost, whoever dies."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import acknowledged
from tests.faults.report import Report, Scenario, seed


@pytest.mark.timeout(600)
@pytest.mark.parametrize("run", [acknowledged.on_sqlite, acknowledged.on_mariadb])
def test_every_acknowledged_write_is_kept_whatever_dies(run: Callable[[Scenario], Report], tmp_path: Path) -> None:
    """A clinic cannot lose or double a write; and a run in which nobody died at a moment says nothing about it."""
    report = run(Scenario(tmp_path, seed(), share=0.1))
    assert not report.broken, report.broken[0]
    assert int(str(report.figures["acknowledged"])) >= 5_000
    assert all(count for name, count in report.figures.items() if name.startswith("killed")), report.figures
