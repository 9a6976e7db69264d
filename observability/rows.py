"""One event as it is kept: a few bytes, and JSON again when it is asked for."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields as fields_of
from inspect import isclass
from operator import attrgetter
from typing import Any, NamedTuple, get_origin, get_type_hints

from mesh.events import (
    AttemptStarted,
    CacheHit,
    CacheMissed,
    CallStarted,
    Chosen,
    Event,
    FillDiscarded,
    WouldHave,
)

ROW = 120  # bytes that a row takes beside its values
ENDLESS = (float("inf"), float("-inf"))
# What happens in calls that go well. What ends has its outcome, and the rest is trouble.
_SMOOTH = frozenset({AttemptStarted, CacheHit, CacheMissed, CallStarted, Chosen, FillDiscarded, WouldHave})


class Shape(NamedTuple):
    """What is kept of a kind of event: its fields, those of the event that it ends included, without metadata.

    Attributes:
        request_id, outcome: the places of these fields; None where there is none.
    """

    kind: type[Event]
    fields: tuple[str, ...]
    values: Callable[[Event], tuple[Any, ...]]
    request_id: int | None
    outcome: int | None

    def went_wrong(self, values: tuple[Any, ...]) -> bool:
        return self.kind not in _SMOOTH if self.outcome is None else values[self.outcome] != "ok"


class Row(NamedTuple):
    """One event. `at` is in seconds of the clock."""

    at: float
    shape: Shape
    values: tuple[Any, ...]

    def told(self, zero: float) -> dict[str, Any]:
        """As JSON, which knows no infinity, with the milliseconds since `zero`."""
        named = {name: None if value in ENDLESS else value for name, value in self.named().items()}
        return {"event": self.shape.kind.__name__, "ms": round((self.at - zero) * 1000, 3), **named}

    def named(self) -> dict[str, Any]:
        return dict(zip(self.shape.fields, self.values, strict=True))


def shape_of(kind: type[Event]) -> Shape:
    """The shape of a kind of event."""
    paths = dict(_paths(kind, ""))
    fields = tuple(paths)
    places = [fields.index(name) if name in fields else None for name in ("request_id", "outcome")]
    return Shape(kind, fields, _taker(*paths.values()), *places)


def _taker(*paths: str) -> Callable[[Event], tuple[Any, ...]]:
    take = attrgetter(*paths)
    return take if len(paths) > 1 else lambda event: (take(event),)


def _paths(kind: type[Event], before: str) -> Iterator[tuple[str, str]]:
    hints = get_type_hints(kind)
    for one in fields_of(kind):
        hint = hints[one.name]
        if isclass(hint) and issubclass(hint, Event):
            yield from _paths(hint, f"{before}{one.name}.")
        elif not issubclass(get_origin(hint) or object, Mapping):
            yield one.name, f"{before}{one.name}"


def size(row: Row) -> int:
    """Bytes, rather too many than too few: what is shared with others counts."""
    return ROW + _bytes(row.values)


def _bytes(values: tuple[Any, ...]) -> int:
    return sum(map(sys.getsizeof, values)) + sum([_bytes(value) for value in values if type(value) is tuple])
