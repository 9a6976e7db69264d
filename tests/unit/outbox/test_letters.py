"""What a delivery says: of which version, why, and whether it may have come before."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from svc_prescriptions.domain import Prescription
from svc_prescriptions.letter.sheet import WHY
from svc_prescriptions.outbox.delivery import Delivery, Kind
from svc_prescriptions.outbox.letters import letter
from tests.fakes.letters import CONTENT, prescription

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ABOUT = prescription(version=2)
CANCELLATION = Delivery(
    prescription_id=42,
    version=3,
    about=2,
    kind=Kind.CANCELLATION,
    created_at=NOON,
    updated_at=NOON,
    next_attempt_at=NOON,
    message_id="<b@x>",
    replaces="<a@x>",
)


def made_by(status: str = "active", *, deleted: bool = False) -> Prescription:
    """The version whose write cancels."""
    return replace(prescription(replace(CONTENT, status=status), 3), deleted=deleted)


@pytest.mark.parametrize("status", ["stopped", "cancelled", "on-hold", "entered-in-error"])
def test_a_cancellation_gives_the_reason_and_shows_what_it_cancels(status: str) -> None:
    """A pharmacist must recognise the letter that does not hold any more."""
    said = letter(CANCELLATION, ABOUT, made_by(status))
    assert (said.prescription, said.version, said.reason) == (ABOUT, 3, status)
    assert (said.message_id, said.replaces, said.again) == ("<b@x>", "<a@x>", False)


def test_a_deletion_and_another_recipient_are_reasons_of_their_own() -> None:
    """A prescription that was deleted keeps the status that it had; one that goes elsewhere is active."""
    reasons = [letter(CANCELLATION, ABOUT, by).reason for by in (made_by(deleted=True), made_by())]
    assert reasons == ["deleted", "mail_to changed"]
    assert set(reasons) < set(WHY)


def test_a_letter_that_cancels_nothing_has_no_reason_and_one_in_doubt_says_so() -> None:
    """The sentence that it may have come before must be true and must be there."""
    again = replace(CANCELLATION, kind=Kind.REVISION, about=3, maybe_left=1)
    said = letter(again, made_by(), made_by())
    assert (said.kind, said.reason, said.again) == ("revision", "", True)
