"""The checker of the fault tests can fail: each of its checks, on the smallest story that breaks it."""

from dataclasses import replace

import pytest

from tests.faults.checker import OK, REFUSED, UNKNOWN, Histories, Listed, Operation, Version, check

POST = Operation(1, 0, "post", "records", "m1", "k1", 0, 0, OK, 201, 7, 1, "a1")
PUT = Operation(2, 0, "put", "records", "m2", "k2", 7, 1, OK, 200, 7, 2, "a2")
DELETE = Operation(3, 1, "delete", "records", "", "k3", 7, 2, OK, 204, 0, 0, "a3")
PLACE = ("records", 7)
WHOLE: Histories = {PLACE: [Version(1, "m1", False), Version(2, "m2", False), Version(3, "m2", True)]}


def test_a_story_in_which_every_promise_was_kept_has_no_findings() -> None:
    """A checker that cries wolf is switched off."""
    assert check([POST, PUT, DELETE], WHOLE, {}) == []


def test_a_write_of_unknown_outcome_may_be_there_or_not() -> None:
    """That is what unknown means."""
    unknown = replace(PUT, outcome=UNKNOWN, status=504, version=0, answer="")
    assert check([POST, unknown], {PLACE: [Version(1, "m1", False)]}, {PLACE: 1}) == []
    assert check([POST, unknown], {PLACE: [Version(1, "m1", False), Version(2, "m2", False)]}, {PLACE: 2}) == []


def test_a_refused_copy_of_a_kept_write_is_no_finding() -> None:
    """Of twenty copies of one write under one key some may be turned away."""
    copy = replace(POST, number=4, outcome=REFUSED, status=503, id=0, version=0, answer="")
    assert check([POST, copy], {PLACE: [Version(1, "m1", False)]}, {PLACE: 1}) == []


def test_a_deletion_that_was_refused_after_it_was_done_or_of_unknown_outcome_is_no_finding() -> None:
    """Its first copy was cut off; another one is 410."""
    unknown = replace(DELETE, outcome=UNKNOWN, status=0)
    late = replace(DELETE, number=5, key="k5", outcome=REFUSED, status=410)
    assert check([POST, PUT, unknown, late], WHOLE, {}) == []


ONE = [Version(1, "m1", False)]
TWO = [*ONE, Version(2, "m2", False)]


@pytest.mark.parametrize(
    ("name", "operations", "histories", "listed"),
    [
        ("acknowledged write present", [POST], {}, {}),
        ("acknowledged write present", [POST, PUT], {PLACE: ONE}, {PLACE: 1}),
        ("acknowledged write present", [POST, DELETE], {PLACE: ONE}, {PLACE: 1}),
        ("refused write absent", [POST, replace(PUT, outcome=REFUSED, status=412)], {PLACE: TWO}, {PLACE: 2}),
        ("history without gaps", [POST, PUT], {PLACE: [TWO[1]]}, {PLACE: 2}),
        ("history without gaps", [POST], {PLACE: [*ONE, *ONE]}, {PLACE: 1}),
        ("deleted stays deleted", [POST, DELETE, PUT], {PLACE: [ONE[0], Version(2, "m1", True), TWO[1]]}, {PLACE: 2}),
        ("lists show the newest", [POST, PUT], {PLACE: TWO}, {PLACE: 1}),
        ("lists show the newest", [POST, PUT], {PLACE: TWO}, {}),
        ("lists show the newest", [POST, PUT, DELETE], WHOLE, {PLACE: 2}),
        ("lists show the newest", [], {}, {PLACE: 1}),
        ("refused write absent", [POST, PUT, replace(DELETE, outcome=REFUSED, status=412)], WHOLE, {}),
        ("nothing foreign", [POST, PUT], WHOLE, {}),
        ("nothing twice", [POST, PUT, DELETE, replace(DELETE, number=5, key="k5")], WHOLE, {}),
        ("the expected version was replaced", [POST, PUT, replace(DELETE, expected=1)], WHOLE, {}),
        ("nothing twice", [POST], {PLACE: ONE, ("records", 8): ONE}, {PLACE: 1, ("records", 8): 1}),
        ("nothing foreign", [], {PLACE: ONE}, {PLACE: 1}),
        ("the expected version was replaced", [POST, replace(PUT, expected=5)], {PLACE: TWO}, {PLACE: 2}),
        ("one winner a version", [POST, PUT, replace(PUT, mark="m3", key="k9")], {PLACE: TWO}, {PLACE: 2}),
        ("one answer a key", [POST, replace(POST, number=9, answer="other")], {PLACE: ONE}, {PLACE: 1}),
    ],
)
def test_each_broken_promise_is_found_by_the_check_that_names_it(
    name: str, operations: list[Operation], histories: Histories, listed: Listed
) -> None:
    """A check that finds nothing where there is something protects nobody."""
    assert name in {finding.check for finding in check(operations, histories, listed)}


def test_the_smallest_witness_comes_first() -> None:
    """Whoever reads a finding at night reads the first one."""
    lost = replace(POST, mark="m5", key="k5", id=9)
    findings = check([POST, PUT, replace(DELETE, expected=0), lost], {PLACE: [*TWO, Version(4, "m2", True)]}, {})
    assert [finding.check for finding in findings] == ["acknowledged write present", "history without gaps"]
    assert len(findings[0].witness) < len(findings[1].witness)
