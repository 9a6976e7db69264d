"""A Synthea folder becomes rows: one a line, the same every time, and a faulty folder is named where it is faulty."""

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caremesh.rows import choice, digest
from caremesh.synthea.mapping import read
from caremesh.synthea.table import FolderError, day
from tests.fakes.absence import cannot_run
from tests.fakes.synthea import ROWS, folder


def told(place: Path) -> str:
    with pytest.raises(FolderError) as caught:
        read(place)
    return str(caught.value)


def test_each_line_becomes_one_row_with_what_the_clinic_needs(tmp_path: Path) -> None:
    """The mapping is the issue's: what is a diagnosis, a plan, a prescription, and what its fields come from."""
    rows = read(folder(tmp_path))
    condition, _, careplan, first, second = rows
    assert [row.collection for row in rows] == ["records"] * 3 + ["prescriptions"] * 2
    assert (
        condition.body.items()
        >= {
            "patient_id": 1000,
            "record_text": "Asthma (disorder)",
            "date": "2020-01-02",
            "category": "diagnosis",
        }.items()
    )
    assert (careplan.body["category"], careplan.body["record_text"]) == ("treatment-plan", "Asthma self management")
    assert first.body["medications"] == [{"medication_name": "Salbutamol", "rxnorm_code": "31", "reason": "Asthma"}]
    assert (first.body["status"], second.body["status"]) == ("active", "completed")
    assert first.body["written_on"] == "2020-01-02"


def test_an_imported_prescription_is_never_mailed(tmp_path: Path) -> None:
    """A mail to a real address out of an import would be a breach: no field that leads to one is ever set."""
    assert {field for row in read(folder(tmp_path)) for field in row.body} == {
        "patient_id", "doctor_id", "source_id", "record_text", "date", "category", "medications",
        "written_on", "status",
    }  # fmt: skip


def test_rows_with_the_same_key_stay_two_and_keep_their_names_from_run_to_run(tmp_path: Path) -> None:
    """(START, PATIENT, ENCOUNTER, CODE) repeats in medications: one of the two would be lost as a double."""
    once, again = read(folder(tmp_path / "a")), read(folder(tmp_path / "b"))
    ids = [row.body["source_id"] for row in once]
    assert len(set(ids)) == len(ids)
    assert ids == [row.body["source_id"] for row in again]


def test_a_row_keeps_its_name_when_other_rows_come_and_go(tmp_path: Path) -> None:
    """A longer export of the same population may be imported over a shorter one."""
    before = {row.body["source_id"] for row in read(folder(tmp_path / "a"))}
    more = ["2019-01-01,,pb,e0,10,Earlier", *ROWS["conditions"]]
    after = {row.body["source_id"] for row in read(folder(tmp_path / "b", conditions=more))}
    assert before < after


def test_patients_are_numbered_by_their_file_from_1000_and_doctors_are_among_the_providers(tmp_path: Path) -> None:
    """The numbers are the contract with whoever reads the imported data; one encounter has one doctor."""
    rows = read(folder(tmp_path))
    assert {row.body["patient_id"] for row in rows} == {1000, 1001}
    assert {row.body["doctor_id"] for row in rows} <= {1, 2, 3}
    assert len({row.body["doctor_id"] for row in rows if row.body["patient_id"] == 1000}) == 1


def test_a_missing_column_is_named_with_its_file(tmp_path: Path) -> None:
    """An older Synthea writes other columns: the reader should hear which, not a KeyError."""
    place = folder(tmp_path)
    (place / "careplans.csv").write_text("Id,START,PATIENT,CODE,DESCRIPTION\n", encoding="utf-8")
    assert "careplans.csv line 1: column ENCOUNTER is missing" in told(place)


def test_a_date_that_is_none_is_named_by_file_line_and_column(tmp_path: Path) -> None:
    """The place is enough to find it; the cell itself may be a patient's and is not repeated."""
    text = told(folder(tmp_path, conditions=[ROWS["conditions"][0], "2020-02-30,,pa,e1,11,SECRET"]))
    assert "conditions.csv line 3, column START: is no date" in text
    assert "SECRET" not in text
    assert "2020-02-30" not in text


def test_a_patient_who_is_not_in_the_folder_is_named_by_place(tmp_path: Path) -> None:
    """Two exports mixed in one folder: silently dropped rows would be lost patients."""
    assert "conditions.csv line 2, column PATIENT" in told(folder(tmp_path, conditions=["2020-01-02,,nobody,e1,11,X"]))


def test_bytes_that_are_not_utf_8_are_found(tmp_path: Path) -> None:
    """A file saved by a spreadsheet in Latin-1 would otherwise import broken names."""
    place = folder(tmp_path)
    file = place / "conditions.csv"
    file.write_bytes(file.read_bytes() + "2020-01-02,,pa,e1,11,Ménière\n".encode("latin-1"))
    assert "conditions.csv line 4, character 23: is not UTF-8" in told(place)


def test_rows_that_are_cut_short_or_too_long_are_found_together(tmp_path: Path) -> None:
    """All faults in one answer, or mending a file takes as many tries as it has faults."""
    text = told(folder(tmp_path, conditions=["2020-01-02,,pa", "2020-01-02,,pa,e1,11,One, two"]))
    assert "conditions.csv line 2, column ENCOUNTER: is missing" in text
    assert "conditions.csv line 3, after column DESCRIPTION: 1 cells too many" in text


def test_a_missing_file_and_a_folder_of_something_else_are_named(tmp_path: Path) -> None:
    """The commonest mistake is the wrong folder; the second, an incomplete copy."""
    place = folder(tmp_path / "a")
    (place / "medications.csv").unlink()
    assert "medications.csv: is missing" in told(place)
    assert "name the folder of Synthea's CSV files" in told(tmp_path / "nowhere")


@given(st.dates())
def test_the_day_of_a_time_is_the_day_it_is_written_with(date: object) -> None:
    """No time zone may move a prescription to the day before."""
    assert day(f"{date}") == day(f"{date}T23:59:59Z") == f"{date}"


@given(st.text(max_size=30))
@example("2020-01-02T٢٣:00:00Z")
@example("2020-02-30")
def test_what_is_no_day_is_none_and_never_an_exception(text: str) -> None:
    """Whatever stands in a cell becomes a message about its place."""
    assert day(text) is None or (text.isascii() and text.startswith(str(day(text))))


@example(["ab", "c"], ["a", "bc"])
@given(st.lists(st.text(max_size=8), min_size=1, max_size=4), st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_different_keys_have_different_digests_wherever_their_parts_begin(one: list[str], other: list[str]) -> None:
    """("ab", "c") and ("a", "bc") are different rows."""
    plain = not any("\0" in part for part in one + other)
    assert not plain or (digest(*one) == digest(*other)) == (one == other)


@given(st.text(), st.integers(1, 1000))
def test_a_choice_is_among_those_there_are_and_stays(key: str, among: int) -> None:
    """Doctor 0 or one beyond the providers would be refused by nobody and mean nobody."""
    assert 1 <= choice(key, among) <= among
    assert choice(key, among) == choice(key, among)


def test_the_real_folder_has_its_rows_each_with_its_own_name() -> None:
    """4,815 records and 6,124 prescriptions is what the import promises."""
    place = os.environ.get("CAREMESH_TEST_SYNTHEA") or cannot_run(
        "the real Synthea folder", "name it in CAREMESH_TEST_SYNTHEA"
    )
    rows = read(Path(place))
    assert Counter(row.collection for row in rows) == {"records": 4815, "prescriptions": 6124}
    assert len({row.body["source_id"] for row in rows}) == len(rows)
