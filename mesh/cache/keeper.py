"""What is kept, and what of it is too old to be given."""

from collections.abc import Collection
from random import Random
from types import TracebackType
from typing import Self

from grpclib.encoding.base import CodecBase

from mesh.cache.bounded import Bounded
from mesh.cache.entry import Entry, Key, Refusal, size
from mesh.cache.flights import Tasks
from mesh.cache.guarded import Found, Guarded, Store
from mesh.cache.packing import name_of, packed, unpacked
from mesh.cache.tags import Tags, tags_of
from mesh.call import Call, Reply
from mesh.clock import Clock
from mesh.errors import RemoteError
from mesh.events import CacheHit, Events, FillDiscarded, Invalidated
from mesh.policy.cache import CachePolicy
from mesh.served import Served


class Keeper:
    """The answers of one service: here, and in a store that is shared, if there is one.

    Nothing that was invalidated in this process is given again: each making notes the count of invalidations at which
    it began, and what it made is old if one of its tags was invalidated after that.

    Args:
        service: whose answers they are.
        memory: bytes that are kept in this process.
        store: what is shared with other processes.

    Attributes:
        tasks: what goes on when those who began it have gone.
    """

    def __init__(
        self,
        service: str,
        codec: CodecBase,
        policy: CachePolicy,
        memory: int,
        store: Store | None,
        clock: Clock,
        rng: Random,
        events: Events,
    ) -> None:
        self._service, self._codec, self._policy = service, codec, policy
        self._clock, self._rng, self._events = clock, rng, events
        self.tasks, self._tags, self._local, self._store = Tasks(), Tags(), Bounded(memory, size), store
        self._shared = Guarded(service, store, policy, self.tasks, clock, events) if store else None

    async def __aenter__(self) -> Self:
        if self._shared:
            self.tasks.start(self._shared.follow(self._told))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.tasks.__aexit__(kind, error, trace)
        if self._store:
            await self._store.close()

    @property
    def now(self) -> int:
        """The count of invalidations."""
        return self._tags.now

    def overtaken(self, entry: Entry) -> bool:
        """Was it invalidated after its making began?"""
        return self._tags.overtaken(entry.tags, entry.since)

    def look(self, key: Key) -> tuple[Entry | None, str]:
        """What is kept here and not overtaken, fresh or not; and why it is not there, or would not be fresh."""
        entry = self._local.get(key)
        if entry is None:
            return None, "absent"
        if self.overtaken(entry):
            self._local.drop(key)
            return None, "overtaken"
        return entry, "expired"

    def hit(self, method: str, request_id: str, key: Key, entry: Entry, *, stale: str = "") -> Served:
        """Tells that an entry is given; `stale` says why, if it is not fresh."""
        now = self._clock.now()
        how = "stale" if stale else "hit"
        self._events.emit(CacheHit(method, request_id, how, now - entry.made, stale))
        kept = None if stale else KeptHere(self, method, key, entry)
        return Served(how, stale, now - entry.made, entry.fresh_until - now, kept)

    def again(self, method: str, request_id: str, key: Key, entry: Entry) -> Served | None:
        """The same for one that was given before, if it is still what is kept, fresh, and not overtaken."""
        if self._local.get(key) is not entry or self.overtaken(entry) or self._clock.now() >= entry.fresh_until:
            return None
        return self.hit(method, request_id, key, entry)

    async def shared(self, key: Key, began: float, since: int) -> tuple[Entry | None, Found | None]:
        """What the store has; its stamp is needed to put something there. None where it has nothing or is away."""
        found = await self._shared.get(name_of(key)) if self._shared else None
        if found is None or found.value is None:
            return None, found
        return unpacked(found.value, found.tags, began - found.age, since), found

    def entry(self, call: Call, told: Reply | RemoteError, began: float, since: int) -> Entry:
        """What can be kept of an answer whose making began at a moment and a count."""
        refused = isinstance(told, RemoteError)
        body = b"" if isinstance(told, RemoteError) else self._codec.encode(told.message, call.method.reply)
        jittered = 1.0 - self._rng.random() * self._policy.jitter
        fresh_until = began + jittered * (self._policy.refused if refused else self._policy.fresh)
        stale_until = fresh_until if refused else fresh_until + jittered * self._policy.stale
        refusal = Refusal.of(told) if isinstance(told, RemoteError) else None
        return Entry(body, tags_of(told.headers), began, fresh_until, stale_until, since, told.headers, refusal)

    def keep(self, call: Call, key: Key, entry: Entry, found: Found | None = None) -> bool:
        """Keeps it here, and in the store by the stamp that it gave when the making began."""
        if self.overtaken(entry):
            self.discarded(call, "overtaken")
            return False
        if found is not None and self._shared:
            self._shared.put(name_of(key), packed(entry), entry.tags, found.stamp, entry.stale_until - entry.made)
        if not self._local.put(key, entry):
            self.discarded(call, "too_large")
            return False
        return True

    def discarded(self, call: Call, reason: str) -> None:
        """Tells that an answer is not kept."""
        self._events.emit(FillDiscarded(call.method.path, call.request_id, reason))

    async def invalidate(self, tags: Collection[str], reason: str) -> None:
        """Here at once; a store, and those who follow it, are waited for as long as a request may wait."""
        if not tags:
            return
        self._tags.invalidate(tags)
        self._events.emit(Invalidated(self._service, len(tags), reason))
        if self._shared:
            await self._shared.invalidate(tags)

    def _told(self, tags: Collection[str] | None) -> None:
        if tags is None:
            self._tags.invalidate_all()
            self._local.clear()
            self._events.emit(Invalidated(self._service, None, "subscribed"))
        else:
            self._tags.invalidate(tags)
            self._events.emit(Invalidated(self._service, len(tags), "told"))


class KeptHere:
    """See `mesh.served.Kept`."""

    __slots__ = ("_entry", "_keeper", "_key", "_method")

    def __init__(self, keeper: Keeper, method: str, key: Key, entry: Entry) -> None:
        self._keeper, self._method, self._key, self._entry = keeper, method, key, entry

    def again(self, request_id: str) -> Served | None:
        return self._keeper.again(self._method, request_id, self._key, self._entry)
