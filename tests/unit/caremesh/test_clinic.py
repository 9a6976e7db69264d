"""The made-up clinic is the same for a seed, whatever else is asked for."""

from hypothesis import given, settings
from hypothesis import strategies as st

from caremesh.clinic.people import MOST_PATIENTS, MOST_SEEDS, clinic

SEEDS = st.integers(1, MOST_SEEDS)


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 30), st.integers(0, 10))
def test_more_patients_leave_the_others_as_they_are(seed: int, patients: int, more: int) -> None:
    """`demo --patients 50` after `demo` adds thirty patients and changes none."""
    small, large = clinic(seed, patients), clinic(seed, patients + more)
    assert large[: len(small)] == small


@settings(max_examples=20)
@given(st.lists(SEEDS, min_size=2, max_size=2, unique=True))
def test_two_seeds_share_neither_patients_nor_source_ids(seeds: list[int]) -> None:
    """A second demo beside the first would otherwise give its patients a second life."""
    one, other = (clinic(seed, 5) for seed in seeds)
    for field in ("patient_id", "source_id"):
        assert not {row.body[field] for row in one} & {row.body[field] for row in other}
    texts = [[row.body.get("record_text") or row.body["patient_name"] for row in rows] for rows in (one, other)]
    assert texts[0] != texts[1]


def test_every_number_fits_what_the_wire_can_carry() -> None:
    """The last patient of the last seed is still an int32."""
    assert max(row.body["patient_id"] for row in clinic(MOST_SEEDS, 1)) + MOST_PATIENTS < 2**31


def test_source_ids_are_unique_and_nothing_is_mailed() -> None:
    """One name a row; no address a mail could go to."""
    rows = clinic(1, 100)
    assert len({row.body["source_id"] for row in rows}) == len(rows) > 500
    assert not any("mail_to" in row.body for row in rows)
    assert {row.body["category"] for row in rows if row.collection == "records"} == {
        "medical-history", "diagnosis", "treatment-plan", "note",
    }  # fmt: skip
