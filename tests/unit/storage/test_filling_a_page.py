"""How many rows a page takes."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from storage.pages import CHUNK, LARGEST_PAGE_BYTES, Position, fill

Row = tuple[int, int]  # key, weight

weights = st.one_of(st.integers(1, 1000), st.integers(LARGEST_PAGE_BYTES // 4, LARGEST_PAGE_BYTES * 2))


class Table:
    """Rows by falling key, all of one day."""

    def __init__(self, weighing: Sequence[int]) -> None:
        self.rows = [(len(weighing) - number, weight) for number, weight in enumerate(weighing)]
        self.most_asked = 0

    async def fetch(self, after: Position | None, most: int) -> list[Row]:
        self.most_asked = max(self.most_asked, most)
        return [row for row in self.rows if after is None or row[0] < after.key][:most]

    async def page(self, start: Position | None, limit: int) -> tuple[list[Row], bool]:
        return await fill(self.fetch, place, lambda row: row[1], start, limit)


def place(row: Row) -> Position:
    return Position("2024-02-29", row[0])


@given(st.lists(weights, max_size=150), st.integers(1, 200))
async def test_walking_the_pages_shows_each_row_once(weighing: list[int], limit: int) -> None:
    """Wherever a page ends, the next one begins there."""
    table = Table(weighing)
    seen, start, more = list[Row](), None, True
    while more:
        rows, more = await table.page(start, limit)
        seen += rows
        start = place(rows[-1]) if rows else None
    assert seen == table.rows


@given(st.lists(weights, min_size=1, max_size=150), st.integers(1, 200))
async def test_a_page_ends_at_its_limit_or_at_one_mebibyte_and_never_early(weighing: list[int], limit: int) -> None:
    """A client with small rows gets what it asked for; one with large rows gets at least one."""
    rows, more = await Table(weighing).page(None, limit)
    total = sum(weight for _, weight in rows)
    assert 1 <= len(rows) <= limit
    assert len(rows) == 1 or total <= LARGEST_PAGE_BYTES
    assert more == (len(rows) < len(weighing))
    if more and len(rows) < limit:
        assert total + weighing[len(rows)] > LARGEST_PAGE_BYTES


async def test_large_rows_are_not_read_only_to_be_thrown_away() -> None:
    """Two hundred texts of 64 KiB are 12 MiB; a page shows one of them."""
    table = Table([1000] * 500)
    await table.page(None, 200)
    assert table.most_asked == CHUNK
