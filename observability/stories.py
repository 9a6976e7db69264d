"""The events of the last requests, kept in memory, so that it can be told afterwards why one went as it did.

Requests that went wrong are kept apart from the others, which under load would push them out within seconds.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mesh.events import CallStarted, Event
from observability.rows import Row, Shape, shape_of, size
from process.control import Arguments

REQUESTS = 2000  # of either kind
BYTES = 4 * 2**20  # of either kind
EVENTS = 200  # of one request; it has some five an attempt
OTHERS = 500  # events that belong to no request: breakers, probes, endpoints
BEFORE = 60.0  # seconds before a request from which such events are told with it
WELL = frozenset({"serving", "closed", "in rotation"})


@dataclass(slots=True)
class Story:
    """What is known of one request."""

    rows: deque[Row] = field(default_factory=lambda: deque(maxlen=EVENTS))
    bytes: int = 0
    left_out: int = 0


class Stories:
    """A listener of `mesh.events`.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._since = clock, clock()
        self._recent, self._wrong = _Shelf(), _Shelf()
        self._shapes: dict[type[Event], Shape] = {}
        self._others: deque[Row] = deque(maxlen=OTHERS)

    def __call__(self, event: Event) -> None:
        shape = self._shapes.get(type(event))
        if shape is None:
            shape = self._shapes[type(event)] = shape_of(type(event))
        values = shape.values(event)
        row = Row(self._clock(), shape, values)
        request_id = "" if shape.request_id is None else values[shape.request_id]
        if request_id:
            self._add(request_id, row, wrong=shape.went_wrong(values))
        elif not row.named().get("method"):
            self._others.append(row)

    def told(self, request_id: str) -> dict[str, Any] | None:
        """A request's story as JSON; None when nothing is known of it, or not any more."""
        story = self._recent.get(request_id) or self._wrong.get(request_id)
        if story is None:
            return None
        zero = min(row.at - row.named().get("seconds", 0.0) for row in story.rows)
        end = story.rows[-1].at
        return {
            "request_id": request_id,
            "began": self._moment(zero),
            "left_out": story.left_out,
            "events": [row.told(zero) for row in story.rows],
            "around": [row.told(zero) for row in _around(self._others, zero - BEFORE, end)],
        }

    async def asked(self, arguments: Arguments) -> Any:
        """For the control port: the story of `request_id`, and how much is remembered."""
        return {
            "story": self.told(str(arguments.get("request_id", ""))),
            "remembers": {"since": self._moment(self._since), "requests": len(self._recent), "wrong": len(self._wrong)},
        }

    def last_call(self, request_id: str) -> list[dict[str, Any]]:
        """The events of the request's last call, as they are told."""
        story = self._recent.get(request_id) or self._wrong.get(request_id)
        rows = list(story.rows) if story else []
        started = max((at for at, row in enumerate(rows) if row.shape.kind is CallStarted), default=0)
        return [row.told(0.0) for row in rows[started:]]

    def _add(self, request_id: str, row: Row, *, wrong: bool) -> None:
        if wrong:
            self._wrong.take(request_id, self._recent)
        shelf = self._wrong if wrong or request_id in self._wrong else self._recent
        shelf.put(request_id, row)

    def _moment(self, at: float) -> str:
        moment = datetime.now(UTC) - timedelta(seconds=self._clock() - at)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _around(others: Iterable[Row], since: float, end: float) -> list[Row]:
    """What happened in that time, and before it what had gone wrong and was so still."""
    lasting, within = dict[Any, Row](), []
    for row in others:
        named = row.named()
        if since <= row.at <= end:
            within.append(row)
        elif row.at < since:
            lasting = {key: kept for key, kept in lasting.items() if key[-1] not in named.get("removed", ())}
            lasting[_about(row, named)] = row
    return [*(row for row in lasting.values() if _is_wrong(row.named())), *within]


def _about(row: Row, named: Mapping[str, Any]) -> tuple[Any, ...]:
    """Later changes of the same thing take the place of earlier ones."""
    return (row.shape.kind, *(named.get(name, "") for name in ("service", "registry", "endpoint")))


def _is_wrong(named: Mapping[str, Any]) -> bool:
    return (
        isinstance(named["after"], str) and named["after"] not in WELL
        if "after" in named
        else not named.get("reachable", True)
    )


class _Shelf:
    """Stories in the order in which they began, the oldest leaving when there are too many."""

    def __init__(self) -> None:
        self._stories: dict[str, Story] = {}
        self._bytes = 0

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._stories

    def __len__(self) -> int:
        return len(self._stories)

    def get(self, request_id: str) -> Story | None:
        return self._stories.get(request_id)

    def put(self, request_id: str, row: Row) -> None:
        """Adds an event to a story, the first one included."""
        story = self._stories.get(request_id)
        if story is None:
            story = self._stories[request_id] = Story()
        if len(story.rows) == EVENTS:
            self._grow(story, -size(story.rows[0]))
            story.left_out += 1
        story.rows.append(row)
        self._grow(story, size(row))
        while len(self._stories) > REQUESTS or self._bytes > BYTES:
            self.pop(next(iter(self._stories)))

    def take(self, request_id: str, other: "_Shelf") -> None:
        """Takes a story over, if it is there."""
        if story := other.pop(request_id):
            self._stories[request_id] = story
            self._bytes += story.bytes

    def pop(self, request_id: str) -> Story | None:
        """Forgets a story."""
        story = self._stories.pop(request_id, None)
        self._bytes -= story.bytes if story else 0
        return story

    def _grow(self, story: Story, size: int) -> None:
        story.bytes += size
        self._bytes += size
