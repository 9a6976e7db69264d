"""What an answer was made of, by name, and since when it is known to be older than that."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from mesh.call import CACHE_TAGS

MOST = 20_000


def tags_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The tags that an answer's trailing metadata names."""
    return tuple(headers.get(CACHE_TAGS, "").split())


class Tags:
    """The generations of tags: when each was last invalidated, counted in invalidations.

    At most `most` are remembered. Of one that is forgotten only this is known: whatever began before it was
    invalidated may be too old, and so counts as overtaken.

    Attributes:
        now: the count at this moment.
    """

    def __init__(self, most: int = MOST) -> None:
        self.now = 0
        self._most, self._floor = most, 0
        self._last: OrderedDict[str, int] = OrderedDict()

    def invalidate(self, tags: Iterable[str]) -> None:
        """What carries one of these and began before now is too old from now on."""
        self.now += 1
        for tag in tags:
            self._last[tag] = self.now
            self._last.move_to_end(tag)
        while len(self._last) > self._most:
            _, self._floor = self._last.popitem(last=False)

    def invalidate_all(self) -> None:
        """Whatever began before now is too old."""
        self.now += 1
        self._floor = self.now
        self._last.clear()

    def overtaken(self, tags: Iterable[str], since: int) -> bool:
        """Was one of the tags invalidated after the count was `since`?"""
        return since < self._floor or any(self._last.get(tag, 0) > since for tag in tags)
