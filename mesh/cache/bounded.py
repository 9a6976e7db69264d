"""What is kept in this process's memory, bounded by its bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LARGEST = 8
"""Nothing takes more than such a part of the whole: it would drive out too many others."""


class Bounded(Generic[K, V]):
    """A mapping that keeps at most `most` bytes.

    Second chance: the oldest goes first, unless it was asked for since it came or was last spared. As good as least
    recently used, and being asked for moves nothing.

    Args:
        most: bytes.
        size: the bytes that a pair takes.

    Attributes:
        bytes: that all of them take.
    """

    def __init__(self, most: int, size: Callable[[K, V], int]) -> None:
        self._most, self._size, self.bytes = most, size, 0
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._asked: set[K] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        value = self._kept.get(key)
        if value is not None:
            self._asked.add(key)
        return value

    def put(self, key: K, value: V) -> bool:
        """Returns False if it is too large to be kept."""
        self.drop(key)
        size = self._size(key, value)
        if size > self._most // LARGEST:
            return False
        self._kept[key] = value
        self.bytes += size
        while self.bytes > self._most:
            self._evict()
        return True

    def drop(self, key: K) -> None:
        value = self._kept.pop(key, None)
        if value is not None:
            self.bytes -= self._size(key, value)
            self._asked.discard(key)

    def clear(self) -> None:
        self._kept.clear()
        self._asked.clear()
        self.bytes = 0

    def _evict(self) -> None:
        oldest = next(iter(self._kept))
        if oldest in self._asked:
            self._asked.discard(oldest)
            self._kept.move_to_end(oldest)
        else:
            self.drop(oldest)
