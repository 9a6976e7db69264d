"""Answers reads with what is kept, and lets writes say what of it has become old."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from grpclib.encoding.base import CodecBase

from mesh.cache.entry import Entry, Key
from mesh.cache.flights import Flights
from mesh.cache.keeper import Keeper, KeptHere
from mesh.cache.tags import tags_of
from mesh.call import Call, Handler, Reply
from mesh.clock import Clock
from mesh.errors import DeadlineExceeded, Lost, MeshError, RemoteError
from mesh.events import CacheMissed, Events
from mesh.policy.methods import MethodPolicy
from mesh.served import Served
from mesh.status import Status

NO_ANSWER = frozenset({Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED})
"""Answers that say no more than that there is none now."""


class Made(NamedTuple):
    """What a making came to.

    Attributes:
        told: the answer.
        entry: what can be kept of it; None where its tags are not known.
        kept: is it kept here?
        how: "miss", or "hit" where a shared store had it.
    """

    told: Reply | RemoteError
    entry: Entry | None
    kept: bool = False
    how: str = "miss"


class Cache:
    """A layer.

    Args:
        keeper: of the service.
        policies: of each method, by its path: whether its answers are kept, and whether it is a write.
        down: is nobody there to be asked? Then a stale answer is given at once.
    """

    def __init__(
        self,
        keeper: Keeper,
        codec: CodecBase,
        policies: Mapping[str, MethodPolicy],
        down: Callable[[], bool],
        clock: Clock,
        events: Events,
    ) -> None:
        self._keeper, self._codec, self._policies, self._down = keeper, codec, policies, down
        self._clock, self._events = clock, events
        self._flights = Flights[Made](keeper.tasks)

    def __call__(self, following: Handler) -> Handler:
        async def handler(call: Call) -> Reply:
            policy = self._policies[call.method.path]
            if policy.cache:
                return await self._read(call, following)
            return await (following(call) if policy.safe else self._write(call, following))

        return handler

    async def _write(self, call: Call, following: Handler) -> Reply:
        try:
            reply = await following(call)
        except RemoteError as error:
            await self._keeper.invalidate(tags_of(error.headers), "refused")
            raise
        await self._keeper.invalidate(tags_of(reply.headers), "written")
        return reply

    async def _read(self, call: Call, following: Handler) -> Reply:
        key = (call.method.path, call.scope, self._codec.encode(call.message, call.method.request))
        missing = "passed_by"
        if call.cached:
            entry, missing = self._keeper.look(key)
            now = self._clock.now()
            if entry is not None and now < entry.fresh_until:
                return self._given(call, key, entry)
            if entry is not None and now < entry.stale_until and self._down():
                return self._given(call, key, entry, stale="no_endpoint")
        self._events.emit(CacheMissed(call.method.path, call.request_id, missing))
        try:
            return await self._made(call, key, missing, following)
        except MeshError as error:
            entry, _ = self._keeper.look(key)
            if call.cached and entry is not None and self._clock.now() < entry.stale_until and _no_answer(error):
                return self._given(call, key, entry, stale=error.reason)
            error.served = error.served or Served("miss", missing)
            raise

    def _given(self, call: Call, key: Key, entry: Entry, *, stale: str = "") -> Reply:
        served = self._keeper.hit(call.method.path, call.request_id, key, entry, stale=stale)
        told = self._told(call, entry)
        if isinstance(told, RemoteError):
            told.served = served
            raise told
        return told._replace(served=served)

    def _told(self, call: Call, entry: Entry) -> Reply | RemoteError:
        if entry.refusal is not None:
            return entry.refusal.error(entry.headers)
        return Reply(self._codec.decode(entry.body, call.method.reply), entry.headers)

    async def _made(self, call: Call, key: Key, missing: str, following: Handler) -> Reply:
        """By a making that may have begun before the call.

        What a write overtook is made again. That making begins after the call did, so what it brings is new enough.
        """
        for last in (False, True):
            flight, joined = self._flights.join(key, lambda: self._make(call, key, following), anew=not call.cached)
            try:
                made = await self._landed(flight, call, joined=joined)
            except DeadlineExceeded:
                if last or not joined or self._clock.now() >= call.deadline:
                    raise
                continue  # it was another's time that ran out
            overtaken = self._keeper.overtaken(made.entry) if made.entry else joined
            if last or not overtaken:
                break
        served = self._served(call, key, made, joined=joined, missing=missing)
        if isinstance(made.told, RemoteError):
            made.told.served = served
            raise made.told
        return made.told._replace(served=served)

    def _served(self, call: Call, key: Key, made: Made, *, joined: bool, missing: str) -> Served:
        how = "joined" if joined and made.how == "miss" else made.how
        if made.entry is None:
            return Served(how, missing)
        now, entry = self._clock.now(), made.entry
        kept = KeptHere(self._keeper, call.method.path, key, entry) if made.kept else None
        return Served(how, "" if how == "hit" else missing, now - entry.made, entry.fresh_until - now, kept)

    async def _landed(self, flight: "asyncio.Task[Made]", call: Call, *, joined: bool) -> Made:
        try:
            if not joined or call.deadline == float("inf"):  # a making ends by the deadline of whoever began it
                return await asyncio.shield(flight)
            async with self._clock.timeout(call.deadline - self._clock.now()):
                return await asyncio.shield(flight)
        except TimeoutError:
            raise DeadlineExceeded("the call's time ran out while its answer was made for another") from None
        except asyncio.CancelledError:
            if flight.cancelled():
                raise Lost("the client was closed", reason="client_closed") from None
            raise

    async def _make(self, call: Call, key: Key, following: Handler) -> Made:
        since, began = self._keeper.now, self._clock.now()
        entry, found = await self._keeper.shared(key, began, since) if call.cached else (None, None)
        if entry is not None:
            kept = self._keeper.keep(call, key, entry)
            if self._clock.now() < entry.fresh_until:
                return Made(self._told(call, entry), entry, kept, "hit")
        told: Reply | RemoteError
        try:
            told = await following(call)
        except RemoteError as error:
            if error.status is not Status.NOT_FOUND or not tags_of(error.headers):
                raise
            told = error
        if not tags_of(told.headers):
            self._keeper.discarded(call, "untagged")
            return Made(told, None)
        entry = self._keeper.entry(call, told, began, since)
        return Made(told, entry, self._keeper.keep(call, key, entry, found))


def _no_answer(error: MeshError) -> bool:
    return not isinstance(error, RemoteError) or error.status in NO_ANSWER
