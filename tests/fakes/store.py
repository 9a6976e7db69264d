"""A shared store in memory, as the mesh's caches want one, which a test can make slow, deaf and forgetful."""

import asyncio
from collections.abc import Callable, Collection

from grpclib.encoding.base import CodecBase

from mesh.cache import Found, Stamp
from mesh.clock import Clock

Tell = Callable[[Collection[str] | None], None]


class Shelf:
    """What several stores have in common: the values, and when each tag was invalidated."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[bytes, tuple[str, ...], int, float, float]] = {}
        self.last: dict[str, int] = {}
        self.count = self.floor = 0
        self.listeners: list[tuple[object, Tell]] = []


class FakeStore:
    """One process's way to a shelf.

    Attributes:
        stuck: set, nothing is answered until it is cleared.
        broken: set, every command fails.
        deaf: invalidations of others are not told.
        held: what was found waits for it before it arrives.
        commands: how many were begun.
    """

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf, self._clock = shelf, clock
        self._open = asyncio.Event()
        self._open.set()
        self.broken = self.deaf = False
        self.held: asyncio.Event | None = None
        self.commands = 0

    def stick(self) -> None:
        """From now on nothing is answered."""
        self._open.clear()

    def go_on(self) -> None:
        """What waits is answered now."""
        self._open.set()

    async def get(self, key: str) -> Found:
        await self._turn()
        found = self._found(key)
        if self.held:
            await self.held.wait()
        return found

    def _found(self, key: str) -> Found:
        shelf = self._shelf
        stamp = Stamp(shelf.count, round(self._clock.now() * 1000))
        if key not in shelf.values:
            return Found(stamp)
        value, tags, since, made, end = shelf.values[key]
        if self._old(tags, since) or self._clock.now() >= end:
            del shelf.values[key]
            return Found(stamp)
        return Found(stamp, value, tags, self._clock.now() - made)

    async def put(self, key: str, value: bytes, tags: Collection[str], stamp: Stamp, lifetime: float) -> None:
        await self._turn()
        if not self._old(tags, stamp.since):
            made = stamp.at / 1000
            self._shelf.values[key] = (value, tuple(tags), stamp.since, made, made + lifetime)

    async def invalidate(self, tags: Collection[str]) -> None:
        await self._turn()
        self._shelf.count += 1
        self._shelf.last.update(dict.fromkeys(tags, self._shelf.count))
        self._tell(tags)

    async def invalidate_all(self) -> None:
        await self._turn()
        self._shelf.count += 1
        self._shelf.floor = self._shelf.count
        self._tell(None)

    async def check(self) -> None:
        await self._turn()

    async def follow(self, tell: Tell) -> None:
        await self._turn()
        listener = (self, lambda tags: None if self.deaf else tell(tags))
        self._shelf.listeners.append(listener)
        try:
            tell(None)
            await asyncio.Event().wait()
        finally:
            self._shelf.listeners.remove(listener)

    async def close(self) -> None:
        pass

    async def _turn(self) -> None:
        self.commands += 1
        await self._open.wait()
        if self.broken:
            raise ConnectionError

    def _old(self, tags: Collection[str], since: int) -> bool:
        return since < self._shelf.floor or any(self._shelf.last.get(tag, 0) > since for tag in tags)

    def _tell(self, tags: Collection[str] | None) -> None:
        for who, tell in list(self._shelf.listeners):
            if who is not self:
                tell(tags)


class TextCodec(CodecBase):
    """Messages that are texts."""

    __content_subtype__ = "text"

    def encode(self, message: str, message_type: type) -> bytes:
        return message.encode()

    def decode(self, data: bytes, message_type: type) -> str:
        return data.decode()
