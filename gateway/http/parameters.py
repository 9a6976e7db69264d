"""Ids, query and headers: what stands outside a body, read strictly and from the raw bytes.

Quart's own `<int:>` takes `٧` for 7 and numbers of any size, so ids are text to the router and are read here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import unquote_to_bytes
from uuid import uuid4

from gateway.fields import Category
from gateway.http.limits import FIELD, MAX_ID
from gateway.http.problems import FieldError

ID = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
LIMIT = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
CURSOR = re.compile(r"[A-Za-z0-9_-]{1,1024}", re.ASCII)
SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?", re.ASCII)
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

MAX_LIMIT = 200
DEFAULT_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter: how it is read, and how the OpenAPI document describes it."""

    name: str
    pattern: re.Pattern[str]
    remedy: str
    schema: Mapping[str, Any]
    description: str
    whole: bool = False

    def read(self, text: str) -> Any:
        """Raises ValueError when it is malformed."""
        if not self.pattern.fullmatch(text) or (self.whole and int(text) > self.schema["maximum"]):
            raise ValueError(self.remedy)
        return int(text) if self.whole else text


PAGE_QUERY = (
    Query(
        "limit",
        LIMIT,
        f"must be a whole number from 1 to {MAX_LIMIT}",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "How many at the most. A page also ends, with at least one row, at 1 MiB.",
        whole=True,
    ),
    Query(
        "cursor",
        CURSOR,
        "must be the next_cursor of a page, unchanged",
        {"type": "string", "pattern": f"^{CURSOR.pattern}$"},
        "`next_cursor` of the page before, unchanged. It belongs to one patient.",
    ),
)

CATEGORY = Query(
    "category",
    re.compile("|".join(get_args(Category))),
    f"must be one of {', '.join(get_args(Category))}",
    {"type": "string", "enum": list(get_args(Category))},
    "Only those of this category. A cursor belongs to it, too.",
)


def read_id(name: str, raw: str) -> int | FieldError:
    """One id out of a path: the number, or what is wrong with it."""
    if ID.fullmatch(raw) and int(raw) <= MAX_ID:
        return int(raw)
    return FieldError(name, f"must be a whole number from 1 to {MAX_ID}, in plain digits")


def read_query(known: tuple[Query, ...], raw: bytes) -> tuple[dict[str, Any], list[FieldError]]:
    """The parameters by name, and everything that is wrong with them: unknown, doubled, malformed."""
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    by_name = {query.name: query for query in known}
    seen: set[str] = set()
    for piece in raw.decode("latin-1").split("&") if raw else ():
        try:
            name, text = (_unescaped(part) for part in piece.partition("=")[::2])
        except ValueError:
            errors.append(FieldError("query", "must be names and values in percent-encoded UTF-8"))
            continue
        query = by_name.get(name)
        if query is None:
            errors.append(FieldError(_shown(name), "is not a parameter of this; leave it out"))
        elif name in seen:
            errors.append(FieldError(name, "is given twice; give it once"))
        else:
            seen.add(name)
            try:
                values[name] = query.read(text)
            except ValueError as error:
                errors.append(FieldError(name, str(error)))
    return values, errors


def read_timeout(values: list[str], longest: float) -> float | FieldError:
    """`Request-Timeout` in seconds: it may shorten what the gateway grants, never lengthen it."""
    if not values:
        return longest
    if len(values) > 1 or not SECONDS.fullmatch(values[0]) or float(values[0]) <= 0:
        return FieldError("Request-Timeout", "must be seconds above 0, once, such as 1.5")
    return min(longest, float(values[0]))


def read_key(values: list[str]) -> str | FieldError:
    """The `Idempotency-Key` of a write: the client's own, or one made now, so that the mesh may repeat the call."""
    if not values:
        return str(uuid4())
    if len(values) > 1 or not IDEMPOTENCY_KEY.fullmatch(values[0]):
        return FieldError("Idempotency-Key", "must be 1 to 255 visible ASCII characters without spaces, once")
    return values[0]


def _unescaped(text: str) -> str:
    if BROKEN_ESCAPE.search(text):
        raise ValueError("a percent sign without two hexadecimal digits")
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")


def _shown(name: str) -> str:
    visible = "".join(letter if letter.isprintable() else "�" for letter in name)
    return visible[:FIELD] or "query"
