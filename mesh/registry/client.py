"""The registry's clients: one announces its endpoint for as long as it serves, one watches who is there."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, NamedTuple, Self

from grpclib.encoding.proto import ProtoCodec

from mesh.call import Call, Level, Method, methods_of
from mesh.clock import Clock, SystemClock
from mesh.errors import MeshError, RemoteError
from mesh.events import Events, RegistryChanged
from mesh.server.health import Health
from mesh.status import Status
from mesh.tasks import leave
from mesh.transport import Transport, split_address
from mesh.wire.levels import LEVELS
from mesh.wire.mesh.registry import v1 as pb

METHODS = methods_of(pb.ServiceRegistryBase, LEVELS)
WATCH = Method("/mesh.registry.v1.ServiceRegistry/Watch", pb.WatchRequest, pb.EndpointList, Level.NO_SIDE_EFFECTS)
RENEW_EVERY = 1.0  # seconds, a third of a lease
PATIENCE = 1.0  # seconds for one answer of a registry
SILENCE = 10.0  # seconds without a word, three leases, after which a watched registry is taken for dead


async def _ask(transport: Transport, name: str, message: Any, clock: Clock) -> Any:
    call = Call(method=METHODS[name], message=message, timeout=PATIENCE, deadline=clock.now() + PATIENCE)
    async with clock.timeout(PATIENCE):
        return (await transport(call)).message


class Registration:
    """Keeps an endpoint registered with every registry while its block is entered.

    A registry that is away is no error: it is asked again each second. On leaving, the endpoint first
    says NOT_SERVING and then withdraws, so that its callers leave before it closes.

    Args:
        registries: their addresses, "host:port".
        service: the name that callers ask for.
        address: where the endpoint is reached, "ip:port".
        metadata: a word for people, such as a version.
    """

    def __init__(
        self,
        registries: Sequence[str],
        *,
        service: str,
        address: str,
        health: Health,
        events: Events,
        metadata: str = "",
        clock: Clock | None = None,
    ) -> None:
        host, port = split_address(address)
        info = pb.ServiceRegistrationInfo(service_name=service, ip_address=host, port=port, metadata=metadata)
        self._clock = clock or SystemClock()
        self._health = health
        self._announcers = [_Announcer(registry, info, events, self._clock) for registry in registries]
        self._tasks: asyncio.TaskGroup

    async def __aenter__(self) -> Self:
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._running = [self._tasks.create_task(announcer.run()) for announcer in self._announcers]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._health.set_serving(False)
        for task in self._running:
            task.cancel()
        try:
            await leave(self._tasks, error)
        finally:
            async with asyncio.TaskGroup() as leaving:
                for announcer in self._announcers:
                    leaving.create_task(announcer.withdraw())


class _Announcer:
    """One endpoint at one registry."""

    def __init__(self, registry: str, info: pb.ServiceRegistrationInfo, events: Events, clock: Clock) -> None:
        self._registry, self._info, self._clock = registry, info, clock
        self._transport = Transport(registry, ProtoCodec(), clock)
        self._lease: pb.Lease | None = None
        self._reach = Reach(registry, events)

    async def run(self) -> None:
        while True:
            try:
                await self._announce()
                self._reach.is_up()
            except (MeshError, TimeoutError) as error:
                self._reach.is_down(error)
            await self._clock.sleep(RENEW_EVERY)

    async def withdraw(self) -> None:
        try:
            if self._lease is not None:
                await _ask(self._transport, "Deregister", self._lease, self._clock)
        except (MeshError, TimeoutError):
            pass  # the lease ends by itself
        finally:
            self._transport.close()

    async def _announce(self) -> None:
        if self._lease is not None:
            try:
                await _ask(self._transport, "Renew", self._lease, self._clock)
            except RemoteError as error:
                if error.status is not Status.NOT_FOUND:
                    raise
            else:
                return
        self._lease = await _ask(self._transport, "Register", self._info, self._clock)


class Reach:
    """Tells when a registry, or a server of names, comes into reach or goes out of it, once each time."""

    def __init__(self, registry: str, events: Events) -> None:
        self._registry, self._events = registry, events
        self._reachable: bool | None = None

    def is_up(self) -> None:
        self.tell("answers", reachable=True)

    def is_down(self, error: BaseException) -> None:
        self.tell(error.reason if isinstance(error, MeshError) else "timeout", reachable=False)

    def tell(self, reason: str, *, reachable: bool) -> None:
        if reachable is not self._reachable:
            self._reachable = reachable
            self._events.emit(RegistryChanged(self._registry, reachable, reason))


class Listed(NamedTuple):
    """What a registry says of a service.

    Attributes:
        named: the addresses that are registered.
        withdrawn: those that said a short while ago that they leave.
    """

    named: frozenset[str]
    withdrawn: frozenset[str]


async def watch(registry: str, service: str, events: Events, clock: Clock) -> AsyncGenerator[Listed | None, None]:
    """What one registry says of a service, now and at each change, for as long as it is read.

    A registry that is away is asked again each second; None is yielded meanwhile.
    """
    transport, reach = Transport(registry, ProtoCodec(), clock), Reach(registry, events)
    call = Call(method=WATCH, message=pb.WatchRequest(service_name=service), timeout=float("inf"))
    try:
        while True:
            try:
                async with aclosing(transport.streamed(call)) as lists:
                    while True:
                        async with clock.timeout(SILENCE):
                            message = await anext(lists)
                        reach.is_up()
                        yield Listed(_addresses(message.endpoints), _addresses(message.withdrawn))
            except (MeshError, TimeoutError, StopAsyncIteration) as error:
                reach.is_down(error)
            yield None
            await clock.sleep(RENEW_EVERY)
    finally:
        transport.close()


def _addresses(infos: Iterable[pb.ServiceRegistrationInfo]) -> frozenset[str]:
    return frozenset(map(_address, infos))


def _address(info: pb.ServiceRegistrationInfo) -> str:
    return f"[{info.ip_address}]:{info.port}" if ":" in info.ip_address else f"{info.ip_address}:{info.port}"
