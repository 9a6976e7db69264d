"""A tenth of the cancelled calls."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.cancelled import MOMENTS, on_mariadb, on_sqlite
from tests.faults.report import Report, Scenario, seed


def whole(report: Report, connections: int) -> None:
    figures: Any = report.figures
    assert report.broken == []
    assert figures["calls that ended early"] >= 2_000
    assert min(figures[f"cancelled {moment}"] for moment in MOMENTS) > 100
    assert figures["of a service's"] >= 200
    assert figures["calls answered, each with its own"] > 100
    assert figures["connections, each opened once"] == connections


@pytest.mark.timeout(300)
def test_on_sqlite_callers_that_go_away_leave_everything_whole(tmp_path: Path) -> None:
    """One writer serves a whole process: a connection that is lost with its caller stops it."""
    whole(on_sqlite(Scenario(tmp_path, seed(), 0.1)), 1 + 4)


@pytest.mark.timeout(300)
def test_on_mariadb_callers_that_go_away_leave_everything_whole(tmp_path: Path) -> None:
    """Drivers have handed one caller's answer to another after a cancellation: another patient's record."""
    whole(on_mariadb(Scenario(tmp_path, seed(), 0.1)), 8 + 4)
