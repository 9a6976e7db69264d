"""Request bodies: bytes in, a strict schema out, every mistake named at once.

JSON lets through what a clinic cannot have: doubled keys (which one is meant?), NaN, halves of surrogate
pairs (no UTF-8 holds them). They are looked for here, before pydantic reads the same bytes.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import ValidationError

from gateway.fields import PATTERN_REMEDIES
from gateway.http.limits import ERRORS, FIELD
from gateway.http.problems import MEDIA, FieldError, Problem, invalid
from gateway.schemas import READ_ONLY, Body

JSON_TYPE = re.compile(r'application/json[ \t]*(;[ \t]*charset=("utf-8"|utf-8)[ \t]*)?', re.IGNORECASE)
SURROGATE = re.compile("[\ud800-\udfff]")

WHOLE = "must be a whole number, written as digits only"
REMEDIES = {
    "extra_forbidden": "is not a field of this; leave it out",
    "missing": "is required",
    "int_type": WHOLE,
    "int_from_float": WHOLE,
    "int_parsing": WHOLE,
    "int_parsing_size": WHOLE,
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "too_long": "must have at most {max_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "json_invalid": "must be JSON",
    "string_type": "must be a text",
    "tuple_type": "must be an array",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
"""What to do, by pydantic's type of error; pydantic's own words may quote the value."""

B = TypeVar("B", bound=Body)


class _Object(dict[str, Any]):
    """A JSON object that remembers which keys came twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counted = Counter(name for name, _ in pairs) if len(self) < len(pairs) else {}
        self.doubled = [name for name, times in counted.items() if times > 1]


class _NotANumber:
    """Stands where NaN or an infinity stood."""


def check_media_type(content_types: list[str], content_encoding: str) -> None:
    """Takes one `Content-Type: application/json`, in UTF-8 if it says a charset, and no packing.

    Raises:
        Problem: 415.
    """
    packed = content_encoding.strip().lower() not in ("", "identity")
    if packed or len(content_types) != 1 or not JSON_TYPE.fullmatch(content_types[0].strip()):
        raise Problem(MEDIA, headers={"Accept": "application/json", "Accept-Encoding": "identity"})


def parse(schema: type[B], raw: bytes) -> B:
    """The body as the schema has it.

    Raises:
        Problem: 400 with every mistake.
    """
    found = _looked_over(raw)
    try:
        body = schema.model_validate_json(raw)
    except ValidationError as error:
        told = _told(error)
        named = {mistake.field for mistake in found}
        # What pydantic's parser calls broken JSON after Python's took it is what was found here already.
        found += [item for item in told if item.field not in named and not (found and item.field == "body")]
        if not found:
            found = told
        raise invalid(*found[:ERRORS]) from None
    if found:
        raise invalid(*found[:ERRORS])
    return body


def _looked_over(raw: bytes) -> list[FieldError]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise invalid(FieldError("body", "must be UTF-8")) from None
    try:
        tree = json.loads(text, object_pairs_hook=_Object, parse_constant=lambda _: _NotANumber())
        return list(_mistakes(tree, ""))
    except RecursionError:
        raise invalid(FieldError("body", "is nested too deeply")) from None
    except ValueError:
        raise invalid(FieldError("body", "must be JSON")) from None


def _mistakes(value: Any, place: str) -> Iterator[FieldError]:
    if isinstance(value, _Object):
        for name in value.doubled:
            yield FieldError(_shown(_join(place, name)), "is given twice; give it once")
        for name, item in value.items():
            if SURROGATE.search(name):
                yield FieldError(_shown(_join(place, name)), "is not Unicode: it has half a surrogate pair")
            yield from _mistakes(item, _join(place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _mistakes(item, f"{place}[{index}]")
    elif isinstance(value, _NotANumber):
        yield FieldError(_shown(place), "must not be NaN or infinite")
    elif isinstance(value, str) and SURROGATE.search(value):
        yield FieldError(_shown(place), "is not Unicode: it has half a surrogate pair")


def _told(error: ValidationError) -> list[FieldError]:
    items = error.errors(include_url=False, include_input=False)
    places = [item["loc"] for item in items]
    # pydantic counts only an array's valid items, and so calls one too short whose items it refused.
    mistaken = [
        item
        for item in items
        if not (item["type"] == "too_short" and any(place[:-1][: len(item["loc"])] == item["loc"] for place in places))
    ]
    return [FieldError(_shown(_path(item["loc"])), _remedy(dict(item))) for item in mistaken]


def _path(location: tuple[int | str, ...]) -> str:
    place = ""
    for step in location:
        place = f"{place}[{step}]" if isinstance(step, int) else _join(place, step)
    return place


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _shown(place: str) -> str:
    """A field's name that is safe to give back: unknown fields are named, and their names are the client's."""
    visible = "".join(letter if letter.isprintable() else "�" for letter in place)
    return visible[:FIELD] or "body"


def _remedy(item: dict[str, Any]) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden" and item["loc"][-1] in READ_ONLY:
        return "is assigned by the service; leave it out"
    if kind == "string_pattern_mismatch":
        return PATTERN_REMEDIES[context["pattern"]]
    if kind == "too_long" and context["field_type"] == "Tuple":
        return f"must have at most {context['max_length']} items"
    if kind in REMEDIES:
        return REMEDIES[kind].format_map(context)
    return str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
