"""Where the addresses of a service come from."""

import asyncio
from collections.abc import Sequence
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

    A registry that is away takes nothing back: what it last said holds until it speaks again.

    Raises:
        ValueError: a registry's address is not "host:port".
    """

    def __init__(self, registries: Sequence[str]) -> None:
        for registry in registries:
            split_address(registry)
        self._registries = tuple(registries)

    async def follow(self, service: str, tell: Tell, clock: Clock, events: Events) -> None:
        said: dict[str, Listed] = {}

        async def follow_one(registry: str) -> None:
            async for listed in watch(registry, service, events, clock):
                said[registry] = listed
                named = frozenset[str]().union(*(each.named for each in said.values()))
                tell(named, frozenset[str]().union(*(each.withdrawn for each in said.values())) - named)

        async with asyncio.TaskGroup() as group:
            for registry in self._registries:
                group.create_task(follow_one(registry))
