"""Whoever checks is checked: each planted defect is found by the check that is there for it."""

from pathlib import Path

import pytest

from tests.faults.defects import DEFECTS, found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found_by_its_check_and_without_it_nothing_is(name: str, tmp_path: Path) -> None:
    """A check that cannot fail keeps nobody from losing a write; one that cries wolf is switched off."""
    sound, defective = found(DEFECTS[name], tmp_path)
    assert sound == set()
    assert DEFECTS[name].check in defective


def test_there_are_eleven() -> None:
    """Each of them is a line that somebody might change without a thought."""
    assert len({defect.patch.name for defect in DEFECTS.values()}) == 11
