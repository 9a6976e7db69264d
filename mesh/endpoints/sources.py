"""Where the addresses of a service come from."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from mesh.clock import Clock
from mesh.events import Events
from mesh.registry.client import Listed, watch
from mesh.transport import split_address


class Tell(Protocol):
    """Takes what a source has to say: who is named now, and who has left for certain."""

    def __call__(self, named: frozenset[str], gone: frozenset[str] = ...) -> None: ...


class Source(Protocol):
    """Tells the addresses of a service, at once and whenever they change, until it is cancelled."""

    async def follow(self, service: str, tell: Tell, clock: Clock, events: Events) -> None: ...


class Static:
    """Addresses that never change.

    Raises:
        ValueError: one of them is not "host:port".
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        for address in addresses:
            split_address(address)
        self._addresses = frozenset(addresses)

    async def follow(self, service: str, tell: Tell, clock: Clock, events: Events) -> None:  # noqa: ARG002  # a Source
        tell(self._addresses)


class Leases:
    """What the registries know: the union, so that either of two may be away or forgetful.

    A registry that is away takes nothing back: what it last said holds until it speaks again, or until another
    one says that an endpoint has withdrawn.

    Raises:
        ValueError: a registry's address is not "host:port".
    """

    def __init__(self, registries: Sequence[str]) -> None:
        for registry in registries:
            split_address(registry)
        self._registries = tuple(registries)

    async def follow(self, service: str, tell: Tell, clock: Clock, events: Events) -> None:
        said: dict[str, Listed] = {}
        away: set[str] = set()

        async def follow_one(registry: str) -> None:
            async for listed in watch(registry, service, events, clock):
                if listed is None:
                    away.add(registry)
                else:
                    away.discard(registry)
                    said[registry] = listed
                if said:
                    tell(*_union(said, away))

        async with asyncio.TaskGroup() as group:
            for registry in self._registries:
                group.create_task(follow_one(registry))


def _union(said: Mapping[str, Listed], away: set[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Who is named by anybody, and who has withdrawn from one and is named by no other that is in reach."""
    here = [listed for registry, listed in said.items() if registry not in away]
    gone = _all(listed.withdrawn for listed in here) - _all(listed.named for listed in here)
    return _all(listed.named for listed in said.values()) - gone, gone


def _all(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*sets)
