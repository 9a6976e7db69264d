"""Rules for fields: what passes, what is refused, and that the refusal never holds the value."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import Invalid
from storage.rules import LARGEST_TEXT_BYTES, Rules, key_asked, list_asked

INT32 = st.integers(-(2**31), 2**31 - 1)


def refused(check: Callable[[Rules], object]) -> dict[str, str]:
    """The fields that were refused, and why."""
    rules = Rules()
    check(rules)
    try:
        rules.enforce()
    except Invalid as error:
        return dict(error.violations)
    return {}


@given(st.dates())
def test_every_day_that_exists_is_accepted(day: object) -> None:
    """From 0001-01-01 to 9999-12-31; leap days too."""
    assert refused(lambda rules: rules.day("date", str(day))) == {}


@pytest.mark.parametrize(
    "day",
    [
        "2023-02-29", "0000-01-01", "2024-13-01", "2024-1-01", "20240101", "2024-W01-1", "2024-01-01T00:00:00",
        " 2024-01-01", "2024-01-01\n", "٢٠٢٤-٠١-٠١", "-001-01-01", "10000-01-01", "2024-01-32",
    ],
)  # fmt: skip
def test_a_day_that_does_not_exist_or_is_written_otherwise_is_refused(day: str) -> None:
    """Days are compared as texts, so one spelling only."""
    assert set(refused(lambda rules: rules.day("date", day))) == {"date"}


@given(INT32)
def test_an_identifier_is_from_1_to_2147483647(value: int) -> None:
    """Ids are numbers of 31 bits; 0 means absent."""
    assert bool(refused(lambda rules: rules.identifier("record_id", value))) == (value < 1)
    assert bool(refused(lambda rules: rules.maybe_identifier("patient_id", value))) == (value < 0)
    assert bool(refused(lambda rules: rules.amount("refills", value))) == (value < 0)


@pytest.mark.parametrize("value", [2**31, 2**32 + 7, 2**63, -(2**31) - 1])
def test_numbers_beyond_31_bits_are_refused(value: int) -> None:
    """4294967303 must never become patient 7."""
    assert refused(lambda rules: rules.identifier("patient_id", value))
    assert refused(lambda rules: rules.maybe_identifier("patient_id", value))
    assert refused(lambda rules: rules.amount("refills", value))


@pytest.mark.parametrize("control", [chr(code) for code in (*range(32), *range(127, 160))])
def test_control_characters_are_refused_but_for_newline_and_tab_in_long_texts(control: str) -> None:
    """They forge lines in logs, mails and terminals."""
    assert refused(lambda rules: rules.line("form", f"a{control}b"))
    assert bool(refused(lambda rules: rules.lines("sig", f"a{control}b"))) == (control not in "\n\t")


@pytest.mark.parametrize("text", ["Příliš žluťoučký kůň", "مرحبا", "病歷", "🧑‍⚕️", "a\u00a0b", "\u2028"])
def test_texts_of_every_script_are_accepted(text: str) -> None:
    """Patients and doctors write as they speak."""
    assert refused(lambda rules: rules.line("form", text)) == {}
    assert refused(lambda rules: rules.lines("sig", text)) == {}


@pytest.mark.parametrize("half", ["\ud83e", "a\udfffb"])
def test_halves_of_surrogate_pairs_are_refused(half: str) -> None:
    """No UTF-8 can hold them."""
    assert refused(lambda rules: rules.lines("sig", half)) == {"sig": "must not contain halves of surrogate pairs"}


@pytest.mark.parametrize("letter", ["a", "ť", "病", "🎉"])
def test_a_text_takes_at_most_64_kib_in_utf_8(letter: str) -> None:
    """The limit is of bytes, not of characters."""
    most = LARGEST_TEXT_BYTES // len(letter.encode())
    assert refused(lambda rules: rules.lines("sig", letter * most)) == {}
    assert refused(lambda rules: rules.lines("sig", letter * (most + 1)))


def test_a_name_takes_so_many_characters_whatever_their_bytes() -> None:
    """200 Chinese characters are 200."""
    assert refused(lambda rules: rules.line("patient_name", "病" * 200, most=200)) == {}
    assert refused(lambda rules: rules.line("patient_name", "病" * 201, most=200))


@given(st.text(min_size=1, max_size=200))
def test_a_source_id_is_at_most_128_visible_ascii_characters(text: str) -> None:
    """It is compared byte by byte in every database."""
    fine = len(text) <= 128 and all("!" <= letter <= "~" for letter in text)
    assert bool(refused(lambda rules: rules.source_id(text))) != fine


def test_source_ids_of_128_and_129_characters() -> None:
    """The border itself."""
    assert refused(lambda rules: rules.source_id("~" * 128)) == {}
    assert refused(lambda rules: rules.source_id("~" * 129))


@given(INT32)
def test_a_limit_is_from_1_to_200_and_never_clamped(limit: int) -> None:
    """0 is absent, so it is the default."""
    if 1 <= limit <= 200:
        assert list_asked(7, limit) == limit
    elif limit == 0:
        assert list_asked(7, 0) == 50
    else:
        with pytest.raises(Invalid):
            list_asked(7, limit)


def test_all_that_is_wrong_is_told_at_once() -> None:
    """A client mends its request once, not field by field."""
    with pytest.raises(Invalid) as caught:
        key_asked("record_id", 0, -1)
    assert [violation.field for violation in caught.value.violations] == ["record_id", "patient_id"]


@given(st.text())
def test_no_refusal_holds_what_was_sent(text: str) -> None:
    """Refusals travel into logs and screens; what was sent may be about a patient."""
    value = f"Nováková{text}"

    def check(rules: Rules) -> None:
        rules.day("a", value)
        rules.choice("b", value, ["x"])
        rules.source_id(value)

    told = refused(check)
    assert set(told) == {"a", "b", "source_id"}
    assert "Nov" not in " ".join(told.values())
