"""Rows as a table that reads well in a terminal and in a pipe."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

LONGEST = 60  # letters of a cell


def columns(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table: numbers to the right, texts to the left, none of them longer than LONGEST."""
    table = [[_cell(value) for value in row] for row in rows]
    numeric = [all(cell.isdigit() for cell in column) for column in zip(*table, strict=True)] or [False] * len(head)
    widths = [max(map(len, column)) for column in zip(head, *table, strict=True)]
    return [_line(row, widths, numeric) for row in (list(head), *table)]


def _cell(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _line(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    cells = zip(row, widths, numeric, strict=True)
    return "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells).rstrip()


def moment(told: str | datetime) -> str:
    """A time in UTC to the second: "2026-11-24 22:31:07Z"; "" for none."""
    if not told:
        return ""
    when = datetime.fromisoformat(told) if isinstance(told, str) else told
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def age(seconds: float) -> str:
    """How long that is, in the largest unit that fits: "4 min"."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0, seconds):.0f} s"
