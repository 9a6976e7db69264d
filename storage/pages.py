"""Pages by keyset: a cursor says after which row to go on, so none is seen twice or missed, however many come or go.

A cursor holds a day and an id and a checksum over them and the list they belong to. It holds no patient's number:
cursors travel in URLs, and those are written down in many places.
"""

import base64
import binascii
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Generic, NamedTuple, TypeVar

from storage.errors import Invalid, Violation

LARGEST_PAGE_BYTES = 1024 * 1024
CHUNK = 64  # rows read at once, so that a page of large texts does not read all its rows to return few
LAYOUT = struct.Struct(">BIi8s")  # version, day, id, checksum
VERSION = 1
CHECKSUM_BYTES = 8

R = TypeVar("R")


class Position(NamedTuple):
    """A row's place in the order newest first: its day as YYYY-MM-DD, then its id."""

    day: str
    key: int


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some rows of a list, and where the rest begins; an empty cursor on the last page."""

    items: Sequence[R]
    next_cursor: str


def cursor_after(position: Position, scope: str) -> str:
    """The cursor of the rows that follow `position` in the list that `scope` names."""
    day = date.fromisoformat(position.day).toordinal()
    packed = LAYOUT.pack(VERSION, day, position.key, _checksum(day, position.key, scope))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def position_of(cursor: str, scope: str) -> Position | None:
    """Where a cursor points; None for the empty one.

    Raises:
        Invalid: it is damaged, or it was made for another list.
    """
    if not cursor:
        return None
    position = _unpacked(cursor)
    # Made again and compared: the checksum must fit, and base64 can spell the same bytes in several ways.
    if position is None or cursor_after(position, scope) != cursor:
        raise Invalid([Violation("cursor", "is damaged or belongs to another list; leave it out to start anew")])
    return position


def _unpacked(cursor: str) -> Position | None:
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        _version, day, key, _checksum = LAYOUT.unpack(packed)
        return Position(date.fromordinal(day).isoformat(), key)
    except (ValueError, binascii.Error, struct.error, OverflowError):
        return None


def _checksum(day: int, key: int, scope: str) -> bytes:
    told = f"{VERSION}/{day}/{key}/{scope}".encode()
    return blake2b(told, digest_size=CHECKSUM_BYTES, person=b"caremesh.cursor").digest()


async def fill(
    fetch: Callable[[Position | None, int], Awaitable[Sequence[R]]],
    place: Callable[[R], Position],
    weigh: Callable[[R], int],
    start: Position | None,
    limit: int,
) -> tuple[list[R], bool]:
    """Rows for one page, and whether more follow. It ends at `limit` rows or, with at least one row, at 1 MiB.

    Args:
        fetch: rows after a position, at most so many.
        place: a row's position.
        weigh: the most bytes a row can take in a message.
        start: the position to go on after.
        limit: the most rows.
    """
    taken: list[R] = []
    weight, after = 0, start
    while True:
        wanted = min(CHUNK, limit + 1 - len(taken))
        rows = await fetch(after, wanted)
        for row in rows:
            weight += weigh(row)
            if len(taken) == limit or (taken and weight > LARGEST_PAGE_BYTES):
                return taken, True
            taken.append(row)
        if len(rows) < wanted:
            return taken, False
        after = place(taken[-1])
