"""A tenth of the races."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.races import run
from tests.faults.report import Scenario, seed


@pytest.mark.timeout(300)
def test_of_four_writers_with_one_if_match_one_wins_and_three_are_told(tmp_path: Path) -> None:
    """A change overwritten unseen is one that a doctor relies on and nobody can read any more."""
    report = run(Scenario(tmp_path, seed(), 0.1))
    figures: Any = report.figures
    assert report.broken == []
    assert figures["races"] == 1_000
    assert (figures["won by a put"], figures["won by a delete"]) > (0, 0)
    assert figures["won by a put"] + figures["won by a delete"] == 1_000
    assert figures["lost with 412"] + figures["lost with 410"] == 3_000
    assert figures["versions in their histories"] == 1_000 + figures["documents"]
    assert figures["of them kept"] == 120
