"""The endpoints of one service: follows where they are, and probes each of them."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Self

from mesh.clock import Clock
from mesh.endpoints.endpoint import Endpoint
from mesh.endpoints.outliers import Outliers
from mesh.endpoints.sources import Source
from mesh.events import EndpointsChanged, Events
from mesh.tasks import leave


class Pool:
    """Kept while its block is entered.

    An endpoint that has withdrawn leaves at once. One that its source merely names no longer is probed and
    leaves unless it says that it serves: a registry that restarted or lost a lease takes nobody away who is
    at work.

    Args:
        make: makes an endpoint from its address.
        interval: seconds between probes of an endpoint.
        outliers: takes away who does worse than the others.
    """

    def __init__(
        self,
        service: str,
        source: Source,
        make: Callable[[str], Endpoint],
        interval: float,
        outliers: Outliers,
        clock: Clock,
        events: Events,
    ) -> None:
        self._service, self._source, self._make = service, source, make
        self._interval, self._clock, self._events = interval, clock, events
        self._outliers = outliers
        self._endpoints: dict[str, Endpoint] = {}
        self._known: Sequence[Endpoint] = ()
        self._named: frozenset[str] = frozenset()
        self._probing: dict[str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup

    async def __aenter__(self) -> Self:
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._kept = (
            self._tasks.create_task(self._source.follow(self._service, self._tell, self._clock, self._events)),
            self._tasks.create_task(self._outliers.keep_looking(self.known)),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (*self._kept, *self._probing.values()):
            task.cancel()
        try:
            await leave(self._tasks, error)
        finally:
            for endpoint in self._endpoints.values():
                endpoint.close()

    def known(self) -> Sequence[Endpoint]:
        """Every endpoint, available or not."""
        return self._known

    def deserted(self) -> bool:
        """Would none of them be asked now?"""
        now = self._clock.now()
        return not any(endpoint.usable(now) for endpoint in self._known)

    def troubled(self) -> bool:
        """Is the breaker of one of them not closed?"""
        return any(endpoint.breaker.state != "closed" for endpoint in self._known)

    def others(self, asked: Collection[str]) -> bool:
        """Could one be asked now that was not?"""
        now = self._clock.now()
        there = (each for each in self._known if each.address not in asked and not each.load.ejected)
        return any(endpoint.usable(now) for endpoint in there)

    def retry_after(self) -> float:
        """Seconds until one of them may be available again: an open breaker's time, else the next probe's."""
        opening = [endpoint.breaker.opens_in for endpoint in self._endpoints.values() if endpoint.well]
        return min(opening, default=self._interval)

    def _tell(self, named: frozenset[str], gone: frozenset[str] = frozenset()) -> None:
        for address in sorted(gone & self._endpoints.keys()):
            self._drop(address, "withdrawn")
        added = named - self._endpoints.keys()
        removed = (self._named - named) & self._endpoints.keys()
        self._named = named
        for address in sorted(added):
            self._endpoints[address] = self._make(address)
            self._probe_again(address)
        self._known = tuple(self._endpoints.values())
        for address in removed:
            self._probe_again(address)
        if added:
            self._events.emit(EndpointsChanged(self._service, tuple(sorted(added)), (), "named"))

    def _probe_again(self, address: str) -> None:
        if address in self._probing:
            self._probing[address].cancel()
        self._probing[address] = self._tasks.create_task(self._keep_probing(address))

    async def _keep_probing(self, address: str) -> None:
        endpoint = self._endpoints[address]
        while True:
            began = self._clock.now()
            await endpoint.probe()
            if address not in self._named and not endpoint.well:
                return self._drop(address, "no longer named and not serving")
            await self._clock.sleep(max(0.0, began + self._interval - self._clock.now()))

    def _drop(self, address: str, reason: str) -> None:
        endpoint, probing = self._endpoints.pop(address), self._probing.pop(address)
        self._known = tuple(self._endpoints.values())
        if probing is not asyncio.current_task():
            probing.cancel()
        endpoint.close_when_idle()  # it may still be at work for us
        self._events.emit(EndpointsChanged(self._service, (), (address,), reason))
