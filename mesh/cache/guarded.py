"""A shared store behind a guard: it costs a request little when it is slow or gone, and loses no invalidation."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple, Protocol, TypeVar

from mesh.cache.flights import Tasks
from mesh.clock import Clock
from mesh.events import Events, StoreChanged
from mesh.policy.cache import CachePolicy

T = TypeVar("T")
MOST_OWED = 1000
"""Invalidations kept for a store that is away; beyond that all it holds will be taken for old."""

SETTLING = 1.0  # seconds for the invalidations that it missed


class Stamp(NamedTuple):
    """A moment of a store's: its count of invalidations, and its own time in milliseconds."""

    since: int
    at: int


class Found(NamedTuple):
    """What a store has under a key.

    Attributes:
        stamp: the moment of looking, to be given back with a value whose making begins now.
        value: None where there is none.
        tags: the value's.
        age: seconds since the value's making began.
    """

    stamp: Stamp
    value: bytes | None = None
    tags: tuple[str, ...] = ()
    age: float = 0.0


class Store(Protocol):
    """Values that several processes share. Any method raises what it likes; then the store does not serve for now.

    A value with a tag that was invalidated after its making began is neither kept nor found. Ages are by the store's
    own clock, from the stamp on, so that a command that was long under way makes nothing younger.
    """

    async def get(self, key: str) -> Found: ...

    async def put(self, key: str, value: bytes, tags: Collection[str], stamp: Stamp, lifetime: float) -> None:
        """Keeps a value until it is `lifetime` seconds old; `stamp` is what was found when its making began."""
        ...

    async def invalidate(self, tags: Collection[str]) -> None:
        """What carries one of the tags is old, here and in all processes that follow the store."""
        ...

    async def invalidate_all(self) -> None:
        """The same of all there is."""
        ...

    async def check(self) -> None:
        """Is it well?"""
        ...

    async def follow(self, tell: Callable[[Collection[str] | None], None]) -> None:
        """Tells what other processes invalidate, None for all: first of all, since nobody knows what was missed.

        Goes on until it is cancelled, or raises once it cannot.
        """
        ...

    async def close(self) -> None: ...


class Guarded:
    """Asks a store for as long as it answers in time, and then not again until it is found well.

    What was invalidated while it was away is owed to it, and told before anything is asked of it again: so what it
    still holds from before is never found. Its commands run in tasks of their own, which no caller's end cuts short:
    a connection whose command was cut short could hand its answer to the next one.
    """

    def __init__(
        self, service: str, store: Store, policy: CachePolicy, tasks: Tasks, clock: Clock, events: Events
    ) -> None:
        self._service, self._store, self._policy = service, store, policy
        self._tasks, self._clock, self._events = tasks, clock, events
        self.away = False
        self._owed: dict[int, frozenset[str]] = {}
        self._owes_all = False
        self._numbers = count()

    async def get(self, key: str) -> Found | None:
        """What it has, or None where it is away. What is owed to it is not found."""
        if self.away:
            return None
        before = list(self._owed.values())
        found = await self._within(self._store.get(key))
        if found is not None and any(not owed.isdisjoint(found.tags) for owed in (*before, *self._owed.values())):
            return Found(found.stamp)
        return found

    def put(self, key: str, value: bytes, tags: Collection[str], stamp: Stamp, lifetime: float) -> None:
        """Keeps a value; nobody waits for it."""
        if not self.away:
            self._tasks.start(self._tried(self._store.put(key, value, tags, stamp, lifetime)))

    async def invalidate(self, tags: Collection[str]) -> None:
        """Tells the store and all who follow it; if that takes too long it is told later."""
        number = next(self._numbers)
        self._owed[number] = frozenset(tags)
        if not self.away:
            await self._within(self._pay([number]))
        elif len(self._owed) > MOST_OWED:
            self._owes_all = True
            self._owed.clear()

    async def follow(self, tell: Callable[[Collection[str] | None], None]) -> None:
        """Tells what others invalidate, for as long as this is awaited, however often the store goes and comes."""
        while True:
            with suppress(Exception):  # what keeps it from telling keeps it from serving, and is told there
                await self._store.follow(tell)
            await self._clock.sleep(self._policy.probe_interval)

    async def _pay(self, numbers: Collection[int]) -> None:
        tags = frozenset[str]().union(*(self._owed[number] for number in numbers if number in self._owed))
        if tags:
            await self._store.invalidate(tags)
        for number in numbers:
            self._owed.pop(number, None)

    async def _within(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Its result, or None when it takes longer than a request may wait, or fails."""
        task = self._tasks.start(self._tried(work))
        try:
            async with self._clock.timeout(self._policy.patience):
                return await asyncio.shield(task)
        except TimeoutError:
            self._gone("too slow")
            return None

    async def _tried(self, work: Coroutine[Any, Any, T]) -> T | None:
        try:
            return await work
        except Exception as error:  # noqa: BLE001  # whatever it is, the store does not serve
            self._gone(type(error).__name__)
            return None

    def _gone(self, why: str) -> None:
        if not self.away:
            self.away = True
            self._events.emit(StoreChanged(self._service, reachable=False, reason=why))
            self._tasks.start(self._return())

    async def _return(self) -> None:
        """Looks until it is well again, and then tells it what it missed."""
        while self.away:
            await self._clock.sleep(self._policy.probe_interval)
            if await self._well():
                self.away = False
                self._events.emit(StoreChanged(self._service, reachable=True, reason="a probe found it well"))

    async def _well(self) -> bool:
        for work, seconds in self._settling():
            task = self._tasks.start(work)
            try:
                async with self._clock.timeout(seconds):
                    await asyncio.shield(task)
            except Exception:  # noqa: BLE001  # as above
                return False
        return True

    def _settling(self) -> Iterator[tuple[Coroutine[Any, Any, None], float]]:
        yield self._store.check(), self._policy.patience
        if self._owes_all:
            self._owes_all = False
            yield self._pay_all(), SETTLING
        while self._owed:
            yield self._pay(list(self._owed)), SETTLING

    async def _pay_all(self) -> None:
        try:
            await self._store.invalidate_all()
        except BaseException:
            self._owes_all = True
            raise
