"""A tenth of the walks. What pages cost is measured in full size only: on a busy machine a tenth says nothing."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.pages import on_mariadb, on_sqlite
from tests.faults.report import Report, Scenario, seed


def walked(report: Report, how: str) -> None:
    figures: Any = report.figures
    assert report.broken == []
    meanwhile = [figures[f"{how}: {name} meanwhile"] for name in ("added", "deleted", "moved", "corrected")]
    assert min(meanwhile) > 0
    assert figures[f"{how}: pages"] >= 100
    assert figures[f"{how}: rows walked"] > 9_000
    assert figures["statements of three pages, read from the index at their places"] >= 10


@pytest.mark.timeout(300)
def test_on_sqlite_a_walk_among_others_shows_every_row_once_and_reads_no_others(tmp_path: Path) -> None:
    """A record that a list skips is a diagnosis that nobody sees; in process and over REST."""
    report = on_sqlite(Scenario(tmp_path, seed(), 0.1))
    walked(report, "in process")
    walked(report, "over REST")


@pytest.mark.timeout(300)
def test_on_mariadb_a_walk_among_others_shows_every_row_once_and_reads_no_others(tmp_path: Path) -> None:
    """MariaDB may choose another index, and passed over all rows before a page when it did."""
    walked(on_mariadb(Scenario(tmp_path, seed(), 0.1)), "in process")
