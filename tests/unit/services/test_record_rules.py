"""What makes a record acceptable."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.codec import Codec
from protos.generated.caremesh import v1 as pb
from storage.errors import Invalid
from svc_records.domain import CATEGORIES, RecordContent, accepted, changed, created, weight

GOOD = RecordContent(patient_id=7, doctor_id=3, record_text="well", date="2024-02-29")
NOTHING = {"record_id": 0, "version": 0, "created_at": "", "updated_at": "", "updated_by": ""}
LARGEST = 2**31 - 1


def fields(caught: pytest.ExceptionInfo[Invalid]) -> list[str]:
    return [violation.field for violation in caught.value.violations]


def test_a_record_without_category_is_a_note() -> None:
    """The default is filled in where every client meets it."""
    assert created(GOOD, NOTHING).category == "note"
    assert accepted(1, GOOD).category == "note"


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_four_categories_are_kept(category: str) -> None:
    """As the clinic named them."""
    assert created(replace(GOOD, category=category), NOTHING).category == category


def test_every_missing_and_every_wrong_field_is_named_at_once() -> None:
    """A client mends its request once."""
    with pytest.raises(Invalid) as caught:
        created(RecordContent(category="gossip", source_id="a b"), NOTHING)
    assert fields(caught) == ["patient_id", "doctor_id", "record_text", "date", "category", "source_id"]


@pytest.mark.parametrize(
    ("field", "value"), [("record_id", 1), ("version", 1), ("created_at", "x"), ("updated_by", "x")]
)
def test_a_new_record_brings_nothing_that_only_the_service_sets(field: str, value: object) -> None:
    """A client that believes it chose the id must learn that it did not."""
    with pytest.raises(Invalid) as caught:
        created(GOOD, {**NOTHING, field: value})
    assert fields(caught) == [field]


def test_a_change_names_its_record() -> None:
    """A PUT never creates."""
    with pytest.raises(Invalid) as caught:
        accepted(0, GOOD)
    assert fields(caught) == ["record_id"]


def test_a_record_stays_with_its_patient_and_keeps_its_source_id() -> None:
    """Moving a record would put one patient's data into another's file."""
    stored = replace(GOOD, source_id="s1")
    with pytest.raises(Invalid) as caught:
        changed(stored, replace(GOOD, patient_id=8, source_id="s2"))
    assert fields(caught) == ["patient_id", "source_id"]


def test_a_source_id_that_is_left_out_is_kept() -> None:
    """It is kept for good."""
    assert changed(replace(GOOD, source_id="s1"), replace(GOOD, record_text="new")) == replace(
        GOOD, record_text="new", source_id="s1"
    )


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=128),
)
def test_a_record_never_takes_more_bytes_than_its_weight(text: str, source_id: str) -> None:
    """Otherwise a page could be larger than 1 MiB."""
    content = RecordContent(patient_id=LARGEST, doctor_id=LARGEST, record_text=text, source_id=source_id)
    message = pb.PatientRecord(
        record_id=LARGEST,
        patient_id=LARGEST,
        doctor_id=LARGEST,
        record_text=text,
        date="2024-02-29",
        category="medical-history",
        version=LARGEST,
        created_at="2026-11-24T19:00:43.221915Z",
        updated_at="2026-11-24T19:00:43.221915Z",
        updated_by="u" * 255,
        source_id=source_id,
    )
    assert len(Codec().encode(pb.RecordPage(items=[message]), pb.RecordPage)) <= weight(content)
