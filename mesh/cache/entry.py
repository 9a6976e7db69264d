"""A kept answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mesh.errors import NO_INFO, RemoteError
from mesh.status import Status

Key = tuple[str, str, bytes]
"""Method, scope, the bytes of the request."""

OVERHEAD = 700
"""Bytes that an entry takes besides its texts: objects, slots of tables."""


class Refusal(NamedTuple):
    """A kept error."""

    status: Status
    message: str
    code: str
    info: Mapping[str, str]

    @classmethod
    def of(cls, error: RemoteError) -> "Refusal":
        return cls(error.status, error.message, error.code, error.info)

    def error(self, headers: Mapping[str, str]) -> RemoteError:
        """The error again; each of those who get it has one of its own."""
        return RemoteError(self.status, self.message, code=self.code, info=self.info, headers=headers)


@dataclass(frozen=True, slots=True)
class Entry:
    """A kept answer, immutable.

    Attributes:
        body: the bytes of the message; of an error none.
        tags: what it was made of; never empty.
        made: the moment at which its making began: it is as new as that, and not newer.
        fresh_until, stale_until: moments of the same clock.
        since: the count of `Tags` at which its making began.
        headers: the trailing metadata.
        refusal: the error that it is, if it is one.
    """

    body: bytes
    tags: tuple[str, ...]
    made: float
    fresh_until: float
    stale_until: float
    since: int
    headers: Mapping[str, str] = field(default_factory=lambda: NO_INFO)
    refusal: Refusal | None = None


def size(key: Key, entry: Entry) -> int:
    """The bytes of memory that an entry takes."""
    texts = sum(map(len, entry.tags)) + sum(len(name) + len(text) for name, text in entry.headers.items())
    refused = len(entry.refusal.message) if entry.refusal else 0
    return OVERHEAD + len(key[2]) + len(entry.body) + texts + refused
