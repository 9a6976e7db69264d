"""Asks a second endpoint, too, when a read takes longer than most; whoever answers first is taken."""

import asyncio
from collections.abc import Collection
from typing import Protocol

from mesh.call import Call, Handler, Reply
from mesh.clock import Clock
from mesh.decide.hedge import Hedging
from mesh.decide.repeat import harmless
from mesh.errors import MeshError, RemoteError
from mesh.events import Events, Hedged, NotHedged, WouldHave
from mesh.layers.attempt import took_its_time
from mesh.policy import Policy


class Endpoints(Protocol):
    """What must be seen of those who could answer."""

    def troubled(self) -> bool:
        """Is the breaker of one of them not closed?"""
        ...

    def others(self, asked: Collection[str]) -> bool:
        """Could one be asked now that was not?"""
        ...


class Hedge:
    """A layer: one service's hedges, with the budget that all of its reads share.

    Only a call's first attempt is hedged, and only where the call may have a second one: the hedge is that.
    """

    def __init__(self, service: str, policy: Policy, endpoints: Endpoints, clock: Clock, events: Events) -> None:
        self._service, self._policy, self._endpoints = service, policy, endpoints
        self.clock, self._events = clock, events
        self.hedging = Hedging(policy.hedge)

    def __call__(self, following: Handler) -> Handler:
        if self._policy.hedge.mode == "off":
            return following

        async def handler(call: Call) -> Reply:
            if call.attempt > 1 or call.attempts == 1 or not self._policy.of(call.method).hedge:
                return await following(call)
            return await _Race(self, call, following).run()

        return handler

    def late(self, call: Call, asked: Collection[str], seconds: float) -> bool:
        """An attempt takes longer than most: is another made? Told to whoever listens."""
        now, path = self.clock.now(), call.method.path
        troubled, others = self._endpoints.troubled(), self._endpoints.others(asked)
        why = self.hedging.why_not(now, troubled=troubled, others=others)
        if why is not None:
            left = self.hedging.left(now)
            self._events.emit(NotHedged(path, call.request_id, call.attempt, seconds, why, left))
            return False
        self.hedging.spend(now)
        if self._policy.hedge.mode == "shadow":
            what = f"asked another endpoint, too, after {seconds * 1000:.0f} ms"
            told = WouldHave(self._service, "hedge", what, "slower_than_most", "", path, call.request_id)
            self._events.emit(told)
            return False
        self._events.emit(Hedged(path, call.request_id, call.attempt, seconds, self.hedging.left(now)))
        return True


class _Race:
    """One call's first attempt, made in the caller's own task, and perhaps another in a task beside it."""

    __slots__ = ("_asked", "_begun", "_beside", "_call", "_first", "_following", "_hedge", "_over")

    def __init__(self, hedge: Hedge, call: Call, following: Handler) -> None:
        self._hedge, self._call, self._following = hedge, call, following
        self._asked: list[str] = []
        self._beside: asyncio.Task[Reply] | None = None
        self._over = False

    async def run(self) -> Reply:
        clock, hedging, path = self._hedge.clock, self._hedge.hedging, self._call.method.path
        self._begun = clock.now()
        after = hedging.called(path, self._begun)
        timer = None if after is None else clock.call_later(after, self._late)
        tells = False
        try:
            async with asyncio.timeout(None) as self._first:
                reply = await self._following(self._call._replace(asked=self._asked))
            tells = True
        except TimeoutError:
            if self._beside is None or not self._first.expired():
                raise
            tells = True
            return self._beside.result()
        except MeshError as error:
            tells = took_its_time(error)
            if self._beside is None or not harmless(self._call, error):
                raise
            self._over = True
            return await _other(self._call, self._beside, error)
        finally:
            self._over = True
            if tells:
                now = clock.now()
                hedging.took(path, now - self._begun, now)
            if timer is not None:
                timer.cancel()
            if self._beside is not None:
                await self._leave(self._beside)
        return reply

    def _late(self) -> None:
        if self._over or not self._hedge.late(self._call, self._asked, self._hedge.clock.now() - self._begun):
            return
        call = self._call._replace(attempt=self._call.attempt + 1, avoid=self._call.avoid.union(self._asked))
        self._beside = asyncio.ensure_future(self._following(call))
        self._beside.add_done_callback(self._ended)

    def _ended(self, beside: "asyncio.Task[Reply]") -> None:
        """Takes the first attempt's place, unless it failed in a way that the first may not."""
        if self._over or beside.cancelled():
            return
        error = beside.exception()
        if not isinstance(error, MeshError) or not harmless(self._call, error):
            self._first.reschedule(asyncio.get_running_loop().time())

    async def _leave(self, beside: "asyncio.Task[Reply]") -> None:
        """Nothing of the call is left behind."""
        beside.cancel()
        await asyncio.wait({beside})
        if not beside.cancelled():
            beside.exception()  # looked at, so that asyncio does not log it


async def _other(call: Call, beside: "asyncio.Task[Reply]", error: MeshError) -> Reply:
    """What the other one ends in, now that one has failed; if that may be repeated, too, who says when goes before."""
    try:
        return await beside
    except MeshError as other:
        asks = isinstance(error, RemoteError) and error.pushback is not None
        told = error if asks and harmless(call, other) else other
        told.maybe_done = error.maybe_done or other.maybe_done
        told.beside = 1
        raise told from None
