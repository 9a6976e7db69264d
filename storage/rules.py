"""Rules for what clients write. Every broken one is collected, so that one answer names them all.

A message names the remedy and never the value.
"""

import re
import unicodedata
from collections.abc import Collection
from datetime import date

from storage.columns import LARGEST_ID, SOURCE_ID_LENGTH
from storage.errors import Invalid, Violation

LARGEST_TEXT_BYTES = 64 * 1024
LARGEST_LIMIT = 200
DEFAULT_LIMIT = 50

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
SOURCE_ID = re.compile(rf"[!-~]{{1,{SOURCE_ID_LENGTH}}}")
ASCII_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
LINE_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # tab and newline are allowed


class Rules:
    """What is wrong with one request so far."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def refuse(self, field: str, message: str) -> None:
        self._violations.append(Violation(field, message))

    @property
    def kept_so_far(self) -> bool:
        """Whether nothing was refused yet."""
        return not self._violations

    def enforce(self) -> None:
        """Raises Invalid with all that was refused."""
        if self._violations:
            raise Invalid(self._violations)

    def identifier(self, field: str, value: int) -> None:
        """A number that names something: 1…2147483647, and 0 means that it is missing."""
        if value == 0:
            self.refuse(field, "is required")
        elif not 0 < value <= LARGEST_ID:
            self.refuse(field, f"must be a whole number from 1 to {LARGEST_ID}")

    def maybe_identifier(self, field: str, value: int) -> None:
        if value != 0:
            self.identifier(field, value)

    def amount(self, field: str, value: int | None) -> None:
        """0…2147483647; None means that it is missing, which is allowed."""
        if value is not None and not 0 <= value <= LARGEST_ID:
            self.refuse(field, f"must be a whole number from 0 to {LARGEST_ID}")

    def limit(self, field: str, value: int) -> int:
        """How many rows a page may have; 0 means the default."""
        if not 0 <= value <= LARGEST_LIMIT:
            self.refuse(field, f"must be from 1 to {LARGEST_LIMIT}")
        return value or DEFAULT_LIMIT

    def line(self, field: str, value: str, *, required: bool = False, most: int | None = None) -> None:
        """A text of one line, of at most `most` characters."""
        self._text(field, value, ASCII_CONTROLS, required=required, most=most)

    def lines(self, field: str, value: str, *, required: bool = False, most: int | None = None) -> None:
        """A text in which newlines and tabs are allowed, of at most `most` characters."""
        self._text(field, value, LINE_CONTROLS, required=required, most=most)

    def _text(self, field: str, value: str, refused: re.Pattern[str], *, required: bool, most: int | None) -> None:
        if required and not value:
            self.refuse(field, "is required")
        elif most is not None and len(value) > most:
            self.refuse(field, f"must have at most {most} characters")
        elif not _encodes(value):
            self.refuse(field, "must not contain halves of surrogate pairs")
        elif len(value.encode()) > LARGEST_TEXT_BYTES:
            self.refuse(field, f"must take at most {LARGEST_TEXT_BYTES} bytes in UTF-8")
        elif refused.search(value):
            self.refuse(field, "must not contain control characters")

    def day(self, field: str, value: str, *, required: bool = False) -> None:
        """A day that exists, as YYYY-MM-DD in ASCII digits."""
        if not value:
            if required:
                self.refuse(field, "is required")
        elif not _is_day(value):
            self.refuse(field, "must be a day that exists, as YYYY-MM-DD")

    def choice(self, field: str, value: str, choices: Collection[str]) -> None:
        if value not in choices:
            self.refuse(field, f"must be one of {', '.join(choices)}")

    def source_id(self, value: str) -> None:
        if value and not SOURCE_ID.fullmatch(value):
            self.refuse("source_id", f"must be at most {SOURCE_ID_LENGTH} visible ASCII characters without spaces")

    def absent(self, field: str, value: object) -> None:
        """A field that only the service sets."""
        if value:
            self.refuse(field, "is set by the service; leave it out")

    def kept(self, field: str, value: object, stored: object) -> None:
        """A field that never changes once written."""
        if value != stored:
            self.refuse(field, "cannot be changed; send the stored one")


def _encodes(value: str) -> bool:
    return not any(unicodedata.category(letter) == "Cs" for letter in value) if not value.isascii() else True


def _is_day(value: str) -> bool:
    try:
        return bool(DAY.fullmatch(value)) and bool(date.fromisoformat(value))
    except ValueError:
        return False


def text_bytes(*texts: str) -> int:
    """The bytes that texts take in UTF-8."""
    return sum(len(text) if text.isascii() else len(text.encode()) for text in texts)


def key_asked(name: str, key: int, patient_id: int, if_version: int = 0) -> None:
    """Checks a request about one document; 0 means any patient's, and any version. Raises Invalid."""
    rules = Rules()
    rules.identifier(name, key)
    rules.maybe_identifier("patient_id", patient_id)
    rules.maybe_identifier("if_version", if_version)
    rules.enforce()


def list_asked(patient_id: int, limit: int, **chosen: tuple[str, Collection[str]]) -> int:
    """Checks a request for a page and returns how many rows it may have; `chosen` are filters with their choices.

    Raises:
        Invalid: naming every field that is not acceptable.
    """
    rules = Rules()
    rules.identifier("patient_id", patient_id)
    most = rules.limit("limit", limit)
    for field, (value, choices) in chosen.items():
        if value:
            rules.choice(field, value, choices)
    rules.enforce()
    return most


def history_asked(name: str, key: int, patient_id: int, limit: int) -> int:
    """Checks a request for a page of a history and returns how many versions it may have. Raises Invalid."""
    rules = Rules()
    rules.identifier(name, key)
    rules.maybe_identifier("patient_id", patient_id)
    most = rules.limit("limit", limit)
    rules.enforce()
    return most
