"""What an answer of the gateway means to a writer, and what of it is told."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caremesh.intake.answers import LONGEST, Again, Present, Refused, Taken, judge, retry_after
from caremesh.intake.report import PLACES, Outcome, Report

PROBLEM = {"title": "Bad Request", "detail": "of Jane Doe", "errors": [{"field": "date", "message": "must exist"}]}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_who_is_busy_or_away_is_asked_again_when_it_says(status: int) -> None:
    """source_id makes the second try safe; only where a service was asked may the first one have been done."""
    again = judge(status, {"Retry-After": "3"}, None)
    assert again == Again(str(status), 3.0, unclear=status in (502, 504))


def test_a_conflict_is_the_row_itself_only_if_it_says_where_it_is() -> None:
    """Another kind of 409 must not pass for a row that is safely there."""
    assert judge(409, {"Location": "/patients/7/records/1"}, None) == Present()
    assert isinstance(judge(409, {}, None), Refused)
    assert judge(201, {}, None) == Taken()


def test_a_refusal_tells_fields_and_remedies_and_whose_fault_it_is() -> None:
    """4xx is the row's, 5xx the clinic's: only the first makes running again pointless."""
    assert judge(400, {}, PROBLEM) == Refused("400 date must exist", "row")
    assert judge(500, {}, {"title": "Internal Server Error"}) == Refused("500 Internal Server Error", "gateway")
    assert judge(500, {}, "nonsense") == Refused("500", "gateway")


@given(st.text())
@example("999999999")
@example("٣")
def test_retry_after_is_bounded_whatever_it_says(text: str) -> None:
    """A server's nonsense must not stop an import for a year."""
    assert 0.0 <= retry_after(text) <= LONGEST


def test_the_report_counts_each_group_and_names_a_few_places_of_each_reason() -> None:
    """A thousand refusals for one reason are one line."""
    report = Report(total=12)
    report.count("conditions", Outcome.ADDED)
    report.count("conditions", Outcome.PRESENT)
    for number in range(10):
        report.count("medications", Outcome.REFUSED)
        report.reason("400 date must exist", f"medications.csv line {number}")
    lines = report.lines()
    assert lines[0].startswith("conditions ")
    assert lines[0].endswith(" added 1, already there 1")
    assert lines[2].endswith(f"line {PLACES - 1} and {10 - PLACES} more")
    assert not report.clean
    assert report.summary() == "added 1, already there 1, refused 10"


def test_a_report_is_clean_only_when_every_row_is_accounted_for() -> None:
    """An interrupted run has refused nothing and is not done all the same."""
    report = Report(total=2)
    report.count("conditions", Outcome.PRESENT)
    assert not report.clean
    report.count("conditions", Outcome.FOUND)
    assert report.clean
