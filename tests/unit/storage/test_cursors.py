"""Cursors: whatever a client sends, it gets the rows after the one it was told of, or a refusal."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import Invalid
from storage.pages import Position, cursor_after, position_of

positions = st.builds(
    Position,
    st.dates(date.min, date.max).map(date.isoformat),
    st.integers(1, 2**31 - 1),
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(positions, st.text())
def test_a_cursor_leads_back_to_its_position(position: Position, scope: str) -> None:
    """Otherwise a page walk would skip rows or repeat them."""
    assert position_of(cursor_after(position, scope), scope) == position


def test_the_empty_cursor_is_the_first_page() -> None:
    """0 and empty mean absent in a message."""
    assert position_of("", "records/7") is None


@given(positions, st.text(), st.text())
def test_a_cursor_of_another_list_is_refused(position: Position, scope: str, other: str) -> None:
    """A cursor of patient 7 must not page through patient 8."""
    cursor = cursor_after(position, scope)
    if other != scope:
        with pytest.raises(Invalid):
            position_of(cursor, other)


@given(positions, st.data())
def test_a_cursor_with_one_letter_changed_is_refused(position: Position, data: st.DataObject) -> None:
    """Cursors are opaque: nobody makes up a position, and base64's spare bits are no second spelling."""
    cursor = cursor_after(position, "records/7")
    place = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.sampled_from(LETTERS.replace(cursor[place], "")))
    with pytest.raises(Invalid):
        position_of(cursor[:place] + letter + cursor[place + 1 :], "records/7")


@given(st.text(min_size=1))
def test_any_other_text_is_refused(text: str) -> None:
    """A cursor comes from the network."""
    with pytest.raises(Invalid) as caught:
        position_of(text, "records/7")
    assert [violation.field for violation in caught.value.violations] == ["cursor"]


@given(positions, st.data())
def test_a_cursor_that_was_cut_or_lengthened_is_refused(position: Position, data: st.DataObject) -> None:
    """Decoders pass over padding, spaces and what follows; a cursor has one spelling."""
    cursor = cursor_after(position, "records/7")
    cut = cursor[: data.draw(st.integers(1, len(cursor) - 1))]
    for text in (cut, cursor + "=", cursor + "A", " " + cursor, cursor + "\n"):
        with pytest.raises(Invalid):
            position_of(text, "records/7")
