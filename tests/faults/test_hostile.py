"""A tenth of the hostile texts, and that the check sees what it is there for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.letters import CONTENT, letter, mail
from tests.fakes.relay import Taken
from tests.faults.hostile import findings, run
from tests.faults.hostile_texts import Case
from tests.faults.report import Scenario, seed

BODY = {
    "patient_name": CONTENT.patient_name,
    "patient_address": CONTENT.patient_address,
    "prescriber_name": CONTENT.prescriber_name,
    "prescriber_address": CONTENT.prescriber_address,
    "medications": [{"sig": CONTENT.medications[0].sig}],
}
CASE = Case(BODY, CONTENT.mail_to)
RIGHT = Taken("clinic@example.org", (CONTENT.mail_to,), mail(letter()).as_bytes(), 1, confirmed=True)


@pytest.mark.timeout(300)
def test_hostile_texts_arrive_as_texts_or_are_refused_at_the_door(tmp_path: Path) -> None:
    """Addresses, names and texts are input that ends up in commands, headers and HTML."""
    report = run(Scenario(tmp_path, seed(), 0.1))
    figures: Any = report.figures
    assert not report.broken, report.broken[:3]
    assert (figures["prescriptions"], figures["answered 400"]) == (50, 25)
    assert figures["letters"] == 25 + 9 + 8
    assert figures["extra headers"] == figures["extra recipients"] == figures["crashes"] == 0


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (replace(RIGHT, recipients=(*RIGHT.recipients, "x@example.com")), "extra recipients"),
        (replace(RIGHT, recipients=("x@example.com",)), "extra recipients"),
        (replace(RIGHT, content=RIGHT.content.replace(b"To: p", b"To: x@example.com, p")), "extra recipients"),
        (replace(RIGHT, content=b"Bcc: x@example.com\r\n" + RIGHT.content), "extra headers"),
        (replace(RIGHT, content=RIGHT.content.replace(b"--=_letter--", b"")), "extra headers"),
        (replace(RIGHT, content=RIGHT.content.replace(b"breath", b"death")), "a text is missing"),
        (replace(RIGHT, content=RIGHT.content.replace(b"Subject: ", b"Subject: Gartenstr ")), "patient data"),
    ],
)
def test_the_check_finds_what_is_wrong_with_a_letter(wrong: Taken, found: str) -> None:
    """A check that finds nothing is worth as much as what it would have found."""
    assert findings(RIGHT, CASE) == []
    assert [one[: len(found)] for one in findings(wrong, CASE)][:1] == [found]
