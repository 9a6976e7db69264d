"""One CSV file of the folder, read strictly: what is wrong is named by file, line and column, with its remedy."""

import csv
import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

SHOWN = 10  # problems told at once
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}:\d{2}Z)?", re.ASCII)


@dataclass(frozen=True)
class Line:
    """One row of a table: its cells by column, and where it ends in the file."""

    file: str
    number: int
    cells: Mapping[str, str]

    @property
    def where(self) -> str:
        """For people: "conditions.csv line 17"."""
        return f"{self.file} line {self.number}"

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


class FolderError(Exception):
    """What is wrong with the folder; a cell's content is never told, it may be a patient's."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        more = len(self.problems) - SHOWN
        super().__init__("\n".join([*self.problems[:SHOWN], *([f"… and {more} more"] if more > 0 else [])]))


def lines(folder: Path, name: str, columns: Sequence[str]) -> list[Line]:
    """All rows of a file that must have these columns.

    Raises:
        FolderError: when it is missing, not UTF-8, not CSV, or lacks a column or a cell.
    """
    path = folder / name
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_read(name, file, columns))
    except FileNotFoundError:
        raise FolderError([f"{path}: is missing; name the folder that Synthea wrote its CSV files to"]) from None
    except UnicodeDecodeError:
        raise FolderError([f"{_bad_bytes(path)} is not UTF-8; save the file as UTF-8"]) from None
    except OSError as error:
        raise FolderError([f"{path}: cannot be read ({error.strerror}); mend its permissions"]) from None


def _read(name: str, file: TextIO, columns: Sequence[str]) -> Iterator[Line]:
    problems: list[str] = []
    reader = csv.reader(file, strict=True)
    header = next(reader, [])
    if missing := [column for column in columns if column not in header]:
        raise FolderError([_missing(name, column, header) for column in missing])
    try:
        for cells in reader:
            if len(cells) == len(header):
                yield Line(name, reader.line_num, dict(zip(header, cells, strict=True)))
            elif cells:
                problems.append(_odd(name, reader.line_num, len(cells), header))
    except csv.Error as error:
        problems.append(f"{name} line {reader.line_num}: is not CSV ({error}); export the file again")
    if problems:
        raise FolderError(problems)


def _missing(name: str, column: str, header: list[str]) -> str:
    if not header:
        return f"{name} line 1: the file is empty; export it again"
    return f"{name} line 1: column {column} is missing; export the file again with all of Synthea's columns"


def _odd(name: str, number: int, count: int, header: list[str]) -> str:
    if count < len(header):
        return f"{name} line {number}, column {header[count]}: is missing (the row is cut short); export the file again"
    extra = count - len(header)
    return f"{name} line {number}, after column {header[-1]}: {extra} cells too many; quote texts that hold commas"


def _bad_bytes(path: Path) -> str:
    """Where the first byte is that is not UTF-8."""
    content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].split(b"\n")
        return f"{path.name} line {len(before)}, character {len(before[-1].decode('utf-8', 'replace')) + 1}:"
    return f"{path.name}:"


def day(text: str) -> str | None:
    """The day of a date or a time as Synthea writes them ("2019-07-08", "2019-07-08T23:38:03Z"), None if it is none."""
    found = _TIME.fullmatch(text)
    try:
        return dt.date.fromisoformat(found[1]).isoformat() if found else None
    except ValueError:
        return None
