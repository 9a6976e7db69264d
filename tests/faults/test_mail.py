"""A tenth of what `make mail-faults` does, and whether its checks can fail."""

from pathlib import Path

import pytest

from tests.faults import mail, relay_away
from tests.faults.mail_defects import DEFECTS, found
from tests.faults.report import Scenario, seed


@pytest.mark.timeout(900)
def test_every_letter_reaches_its_mailbox_whatever_dies_and_twice_only_in_doubt(tmp_path: Path) -> None:
    """A patient waits at a pharmacy; and a run in which nothing failed at a point says nothing about it."""
    report = mail.run(Scenario(tmp_path, seed(), share=0.1))
    assert not report.broken, report.broken[0]
    assert int(str(report.figures["workers killed"])) >= 10
    assert all(count for name, count in report.figures.items() if name.startswith("relay failed at")), report.figures


@pytest.mark.timeout(600)
def test_letters_wait_for_a_relay_that_is_away_and_leave_in_order_of_age(tmp_path: Path) -> None:
    """Whoever prescribed first is dispensed first; nobody who prescribes meanwhile notices."""
    report = relay_away.run(Scenario(tmp_path, seed(), share=0.05))
    assert not report.broken, report.broken[0]
    assert report.figures["letters"] == report.figures["prescriptions"]


def test_without_a_defect_no_check_of_mail_finds_anything(tmp_path: Path) -> None:
    """A check that cries wolf is switched off."""
    assert found(None, tmp_path) == set()


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_of_mail_is_found_by_its_check(name: str, tmp_path: Path) -> None:
    """A check that cannot fail loses a letter."""
    patch, wanted = DEFECTS[name]
    assert wanted in found(patch, tmp_path)
