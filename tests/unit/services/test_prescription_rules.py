"""What makes a prescription acceptable."""

from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.codec import Codec
from protos.generated.caremesh import v1 as pb
from storage.errors import IllegalStep, Invalid
from svc_prescriptions.domain import (
    LARGEST_BYTES,
    STATUSES,
    STEPS,
    Medication,
    PrescriptionContent,
    accepted,
    changed,
    created,
    weight,
)

TODAY = "2026-11-24"
LARGEST = 2**31 - 1
GOOD = PrescriptionContent(patient_id=7, doctor_id=3, medications=(Medication(medication_name="Aspirin"),))
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
TEXTS = ("medication_name", "dosage", "rxnorm_code", "sig", "quantity", "reason", "strength", "form")
medications = st.builds(
    Medication, days_supply=st.just(LARGEST), refills=st.just(LARGEST), **dict.fromkeys(TEXTS, text)
)


def with_medication(**fields: Any) -> PrescriptionContent:
    return replace(GOOD, medications=(Medication(**{"medication_name": "Aspirin"} | fields),))


def refused(content: PrescriptionContent) -> list[str]:
    with pytest.raises(Invalid) as caught:
        created(content, {}, TODAY)
    return [violation.field for violation in caught.value.violations]


def test_a_prescription_without_status_and_day_is_active_and_written_today() -> None:
    """A client at the desk need not say so."""
    assert created(GOOD, {}, TODAY) == replace(GOOD, status="active", written_on=TODAY)


@pytest.mark.parametrize("status", ["draft", "active", "completed", "stopped"])
def test_a_new_prescription_may_be_any_that_history_holds(status: str) -> None:
    """Old ones are taken over as they ended."""
    assert created(replace(GOOD, status=status), {}, TODAY).status == status


@pytest.mark.parametrize("status", ["on-hold", "cancelled", "entered-in-error", "unknown", "Active", "x"])
def test_a_new_prescription_cannot_begin_in_a_later_state(status: str) -> None:
    """Nothing can be on hold that never was active."""
    assert refused(replace(GOOD, status=status)) == ["status"]


@pytest.mark.parametrize("status", STATUSES)
def test_a_change_may_bring_every_status_but_unknown(status: str) -> None:
    """FHIR's codes; which steps are legal is another matter."""
    assert accepted(1, replace(GOOD, status=status)).status == status
    with pytest.raises(Invalid):
        accepted(1, replace(GOOD, status="unknown"))


def test_every_wrong_field_is_named_at_once_with_its_place() -> None:
    """A client mends its request once."""
    bad = Medication(medication_name="", quantity="1e3", days_supply=-1, refills=2**31, sig="\x00", form="a\nb")
    content = PrescriptionContent(
        medications=(Medication(medication_name="Aspirin"), bad),
        written_on="2024-02-30",
        patient_birth_date="x",
        mail_to="a" * 255,
        patient_name="n" * 201,
        prescriber_name="n\nn",
        patient_address="a" * 501,
        prescriber_address="\r",
    )
    assert sorted(refused(content)) == sorted(
        ["patient_id", "doctor_id", "written_on", "patient_birth_date", "mail_to", "patient_name", "prescriber_name"]
        + ["patient_address", "prescriber_address"]
        + [
            f"medications[1].{name}"
            for name in ("medication_name", "quantity", "days_supply", "refills", "sig", "form")
        ]
    )


@pytest.mark.parametrize("mail_to", ["", "pharmacy@example.org", '"a b"@example.org', "jörg@münchen.de"])
def test_a_prescription_is_mailed_to_one_mailbox_or_nobody(mail_to: str) -> None:
    """It is kept as it was written; how it travels is the letter's matter."""
    assert created(replace(GOOD, mail_to=mail_to), {}, TODAY).mail_to == mail_to


@pytest.mark.parametrize("mail_to", ["x", "a@b.org, c@d.org", "Name <a@b.org>", "a@b.org\r\nBcc: c@d.org", "a@b.org\0"])
def test_what_no_letter_can_go_to_is_refused_by_its_field(mail_to: str) -> None:
    """A new one and a change alike; the client can still mend it, the pharmacist could not."""
    assert refused(replace(GOOD, mail_to=mail_to)) == ["mail_to"]
    with pytest.raises(Invalid):
        accepted(1, replace(GOOD, mail_to=mail_to))


def test_a_prescription_has_1_to_100_medications() -> None:
    """None is no prescription; thousands are a mistake."""
    assert refused(replace(GOOD, medications=())) == ["medications"]
    assert refused(replace(GOOD, medications=GOOD.medications * 101)) == ["medications"]
    assert len(created(replace(GOOD, medications=GOOD.medications * 100), {}, TODAY).medications) == 100


@pytest.mark.parametrize("quantity", ["30", "2.5", "0", "000000001", "999999999.9999"])
def test_a_quantity_is_a_decimal_as_text(quantity: str) -> None:
    """2.5 ml stay 2.5 ml, digit for digit."""
    assert created(with_medication(quantity=quantity), {}, TODAY).medications[0].quantity == quantity


@pytest.mark.parametrize("quantity", ["-1", "1.", ".5", "1,5", "1e3", "٧", "30\n", "1234567890", "1.23456", "NaN"])
def test_other_spellings_of_a_quantity_are_refused(quantity: str) -> None:
    """A pharmacist must not have to guess."""
    assert refused(with_medication(quantity=quantity)) == ["medications[0].quantity"]


def test_no_refills_and_no_word_about_refills_are_two_things() -> None:
    """0 is a doctor's decision."""
    assert created(with_medication(refills=0), {}, TODAY).medications[0].refills == 0
    assert created(with_medication(), {}, TODAY).medications[0].refills is None


def test_a_whole_prescription_is_at_most_one_mebibyte() -> None:
    """It must fit a page, and a client of gRPC has no other limit."""
    large = tuple(Medication(medication_name="a" * 65_536) for _ in range(16))
    assert weight(replace(GOOD, medications=large)) > LARGEST_BYTES
    assert refused(replace(GOOD, medications=large)) == ["medications"]
    assert created(replace(GOOD, medications=large[:15]), {}, TODAY).medications == large[:15]


def test_a_prescription_stays_with_its_patient_and_keeps_its_source_id() -> None:
    """Moving one would put one patient's medicine into another's file."""
    stored = replace(GOOD, source_id="s1", written_on="2024-02-29")
    with pytest.raises(Invalid) as caught:
        changed(stored, replace(GOOD, patient_id=8, source_id="s2"))
    assert [violation.field for violation in caught.value.violations] == ["patient_id", "source_id"]


def test_a_change_that_leaves_out_source_id_and_day_keeps_them() -> None:
    """Were the day today's, the same change would do different things tomorrow."""
    stored = replace(GOOD, source_id="s1", written_on="2024-02-29", status="active")
    assert changed(stored, replace(GOOD, status="stopped")) == replace(stored, status="stopped")


@given(st.sampled_from(list(STEPS)), st.sampled_from(list(STEPS)))
def test_a_status_takes_a_legal_step_or_is_refused_with_those_that_are(before: str, after: str) -> None:
    """A prescription that ended does not become active again; a refusal says what can be done."""
    stored, content = replace(GOOD, status=before), replace(GOOD, status=after)
    if after == before or after in STEPS[before]:
        assert changed(stored, content).status == after
    else:
        with pytest.raises(IllegalStep) as caught:
            changed(stored, content)
        assert (caught.value.stored, caught.value.legal) == (before, STEPS[before])


def test_the_steps_are_those_of_the_clinic() -> None:
    """Written out, since a step too many is a medicine too many."""
    legal = {f"{before} {after}" for before, afters in STEPS.items() for after in afters}
    assert legal == {
        *(f"draft {after}" for after in ("active", "cancelled", "entered-in-error")),
        *(f"active {after}" for after in ("on-hold", "completed", "stopped", "cancelled", "entered-in-error")),
        *(f"on-hold {after}" for after in ("active", "stopped", "cancelled", "completed", "entered-in-error")),
        *(f"{ended} entered-in-error" for ended in ("completed", "stopped", "cancelled")),
    }
    assert set(STEPS) == {*STATUSES, "unknown"}


@pytest.mark.parametrize("status", STATUSES)
def test_a_change_that_leaves_out_the_status_keeps_it(status: str) -> None:
    """The default of a new one would take up again what was on hold."""
    stored = replace(GOOD, status=status, written_on=TODAY)
    assert changed(stored, accepted(1, GOOD)).status == status


@given(st.lists(medications), text, text)
def test_a_prescription_never_takes_more_bytes_than_its_weight(
    listed: list[Medication], name: str, address: str
) -> None:
    """Otherwise a page could be larger than 1 MiB."""
    plain = {
        "patient_id": LARGEST,
        "doctor_id": LARGEST,
        "mail_to": name,
        "patient_name": name,
        "prescriber_name": name,
        "patient_address": address,
        "prescriber_address": address,
        "patient_birth_date": "2024-02-29",
        "written_on": "2024-02-29",
        "status": "entered-in-error",
        "source_id": "s" * 128,
    }
    message = pb.Prescription(
        prescription_id=LARGEST,
        version=LARGEST,
        created_at="2026-11-24T19:00:43.221915Z",
        updated_at="2026-11-24T19:00:43.221915Z",
        updated_by="u" * 255,
        medications=[pb.Medication(**asdict(medication)) for medication in listed],
        **plain,  # type: ignore[arg-type]  # each its own
    )
    content = PrescriptionContent(**plain, medications=tuple(listed))  # type: ignore[arg-type]
    assert len(Codec().encode(pb.PrescriptionPage(items=[message]), pb.PrescriptionPage)) <= weight(content)
