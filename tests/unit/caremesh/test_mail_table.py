"""Tables and times for people."""

import pytest

from caremesh.mail.table import LONGEST, age, columns, moment


def test_numbers_stand_to_the_right_texts_to_the_left_and_no_line_ends_in_blanks() -> None:
    """It is pasted into tickets."""
    assert columns(("id", "kind", "error"), [(7, "new", ""), (1234, "cancellation", "RCPT 550")]) == [
        "  id  kind          error",
        "   7  new",
        "1234  cancellation  RCPT 550",
    ]


def test_a_cell_that_is_too_long_is_cut_and_says_so() -> None:
    """One subject must not break all other lines."""
    _, row = columns(("subject",), [("x" * 500,)])
    assert row == "x" * (LONGEST - 1) + "…"


def test_a_table_without_rows_is_its_head() -> None:
    """It says at least what would be there."""
    assert columns(("a", "b"), []) == ["a  b"]


@pytest.mark.parametrize(
    ("seconds", "told"), [(-3, "0 s"), (59, "59 s"), (60, "1 min"), (7000, "2 h"), (86400 * 3, "3 d")]
)
def test_ages_are_told_in_the_unit_that_fits(seconds: float, told: str) -> None:
    """A clock that was set back makes no negative ones."""
    assert age(seconds) == told


def test_moments_are_told_in_utc_to_the_second() -> None:
    """Logs have the same."""
    assert moment("2026-11-24T23:31:07.250113+01:00") == "2026-11-24 22:31:07Z"
    assert moment("") == ""
