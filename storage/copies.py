"""Copies of a database as files: one JSON value a line, the same for every kind of database.

The first line says what it is, of which service and schema. Each table has a line with its columns, and then a line
for each row. The last line holds the number of rows and a checksum of all lines before it, so that a copy that was
cut short or changed is found before anything is put back.
"""

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from storage.errors import CopyRefused
from storage.folders import sync

FORMAT = "caremesh-copy-1"


@dataclass(frozen=True, slots=True)
class Label:
    """What a copy is of.

    Attributes:
        service: "records".
        schema: the newest migration that the database had.
        program: the version of the program that made it.
        made_at: RFC 3339, UTC.
    """

    service: str
    schema: str
    program: str
    made_at: str
    format: str = FORMAT


@dataclass(frozen=True, slots=True)
class Copy:
    """A whole copy: what it is of, how many rows it has, and a checksum of all that it says."""

    label: Label
    rows: int
    checksum: str


class Writer:
    """A copy being written; see `writing`."""

    def __init__(self, file: BinaryIO, label: Label) -> None:
        self._file, self._label, self._sum, self._rows = file, label, _checksum(), 0
        self._line(asdict(label))

    @property
    def copy(self) -> Copy:
        """What was written so far."""
        return Copy(self._label, self._rows, self._sum.hexdigest())

    async def table(self, name: str, columns: Sequence[str], rows: AsyncIterator[Sequence[object]]) -> None:
        """One table with all its rows."""
        self._line({"table": name, "columns": list(columns)})
        async for row in rows:
            self._line(list(row))
            self._rows += 1

    def end(self) -> None:
        """The last line."""
        self._file.write(orjson.dumps({"rows": self._rows, "checksum": self._sum.hexdigest()}) + b"\n")

    def _line(self, value: object) -> None:
        line = orjson.dumps(value) + b"\n"
        self._sum.update(line)
        self._file.write(line)


@contextmanager
def writing(path: Path, label: Label) -> Iterator[Writer]:
    """A copy that is there as a whole, readable by this user only, once the block has ended well, and else not at all.

    Raises:
        CopyRefused: something is there already.
    """
    if path.exists():
        raise CopyRefused(f"{path} is there already; name a new file")
    part = path.with_name(f"{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            writer = Writer(file, label)
            yield writer
            writer.end()
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # unlike a rename it never replaces what came there meanwhile
        sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def checked(path: Path) -> Copy:
    """A copy, after all of it was read and found whole.

    Raises:
        CopyRefused: it is no copy, was cut short or was changed.
    """
    found, rows, last = _checksum(), 0, b""
    with path.open("rb") as file:
        for line in file:
            found.update(last)
            rows += line.startswith(b"[")  # labels, heads and ends are objects
            last = line
    if _value(last) != {"rows": rows, "checksum": found.hexdigest()}:
        raise CopyRefused(f"{path} is not a whole copy: it was cut short or changed; take another one")
    return Copy(label_of(path), rows, found.hexdigest())


def label_of(path: Path) -> Label:
    """What a copy says that it is. Raises CopyRefused."""
    with path.open("rb") as file:
        told = _value(file.readline())
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise CopyRefused(f"{path} is not a copy that this program can read")
    return Label(**told)


def tables(path: Path) -> Iterator[tuple[str, list[str], Iterator[list[Any]]]]:
    """Each table of a checked copy: its name, its columns, its rows, to be read in this order."""
    with path.open("rb") as file:
        file.readline()
        head = _value(file.readline())
        while "table" in head:
            rest = list[Any]()
            yield head["table"], head["columns"], _rows(file, rest)
            (head,) = rest


def _rows(file: BinaryIO, rest: list[Any]) -> Iterator[list[Any]]:
    for line in file:
        value = orjson.loads(line)
        if isinstance(value, dict):
            rest.append(value)
            return
        yield value


def _value(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _checksum() -> Any:
    return blake2b(digest_size=32, person=b"caremesh.copy")
