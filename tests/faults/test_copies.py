"""A tenth of the copies."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.copies import run
from tests.faults.report import Scenario, seed


@pytest.mark.timeout(300)
def test_twenty_copies_of_a_write_are_one_write_and_twenty_equal_answers(tmp_path: Path) -> None:
    """A client that repeats what it does not know must neither prescribe twice nor be told two stories."""
    report = run(Scenario(tmp_path, seed(), 0.1))
    figures: Any = report.figures
    assert report.broken == []
    assert (figures["keys"], figures["effects"], figures["equal answers"]) == (100, 100, 2_000)
    assert min(figures[f"keys of a {kind}"] for kind in ("post", "put", "delete")) > 0
    moments = ("mid-request", "before the answer", "mid-answer")
    cut = [figures[f"cut off {moment}"] for moment in moments]
    assert (sum(cut), min(cut) > 0) == (200, True)
    assert figures["killed between commit and answer"] > 0
    assert figures["other requests under the key, refused"] == 100
