"""Entries in this process's memory, bounded by their bytes."""

from collections import OrderedDict

from mesh.cache.entry import Entry

Key = tuple[str, str, bytes]
"""Method, scope, the bytes of the request."""

OVERHEAD = 700
"""Bytes that an entry takes besides its texts: objects, slots of tables."""

LARGEST = 8
"""No entry takes more than such a part of the whole: it would drive out too many others."""


class Local:
    """Keeps at most `most` bytes.

    Second chance: the oldest goes first, unless it was asked for since it came or was last spared. As good as least
    recently used, and being asked for moves nothing.
    """

    def __init__(self, most: int) -> None:
        self._most, self.bytes = most, 0
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self._asked: set[Key] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Entry | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._asked.add(key)
        return entry

    def put(self, key: Key, entry: Entry) -> bool:
        """Returns False if it is too large to be kept."""
        self.drop(key)
        size = _size(key, entry)
        if size > self._most // LARGEST:
            return False
        self._entries[key] = entry
        self.bytes += size
        while self.bytes > self._most:
            self._evict()
        return True

    def drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= _size(key, entry)
            self._asked.discard(key)

    def clear(self) -> None:
        self._entries.clear()
        self._asked.clear()
        self.bytes = 0

    def _evict(self) -> None:
        oldest = next(iter(self._entries))
        if oldest in self._asked:
            self._asked.discard(oldest)
            self._entries.move_to_end(oldest)
        else:
            self.drop(oldest)


def _size(key: Key, entry: Entry) -> int:
    texts = sum(map(len, entry.tags)) + sum(len(name) + len(text) for name, text in entry.headers.items())
    refused = len(entry.refusal.message) if entry.refusal else 0
    return OVERHEAD + len(key[2]) + len(entry.body) + texts + refused
