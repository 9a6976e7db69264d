"""The ways of calling that are compared: through the mesh, and with plain grpclib stubs."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import replace
from itertools import cycle
from typing import Any, NamedTuple, Protocol

import grpc
from grpclib.client import Channel, UnaryUnaryMethod

from benchmarks.replicas import PATIENCE
from benchmarks.scale import Scale
from benchmarks.work import METHODS, SERVICE, Raw
from mesh.call import IDEMPOTENCY_KEY
from mesh.client import ServiceClient
from mesh.endpoints import Leases, Static
from mesh.events import AttemptStarted, Events
from mesh.policy import AttemptPolicy, Policy
from mesh.transport import split_address

NOTHING: Mapping[str, Any] = {}


class Attempt(NamedTuple):
    """One attempt: the moment of the loop's time at which it left, and where it went."""

    at: float
    endpoint: str


class Way(Protocol):
    """One way of calling."""

    attempts: list[Attempt]

    async def call(self, method: str, message: bytes) -> bytes:
        """Calls `Read` or `Write`; raises whatever the call ends in."""
        ...


class Mesh:
    """The whole stack; a write has a key, so that it may be repeated."""

    def __init__(self, client: ServiceClient, events: Events, scale: Scale) -> None:
        self._timeout = scale.timeout
        self.client, self.attempts = client, list[Attempt]()
        self._now = asyncio.get_running_loop().time
        events.subscribe(self._hear)

    async def call(self, method: str, message: bytes) -> bytes:
        metadata = {IDEMPOTENCY_KEY: message.hex()} if method == "Write" else {}
        reply = await self.client.call(method, message, timeout=self._timeout, metadata=metadata)
        return bytes(reply.message)

    def _hear(self, event: object) -> None:
        if isinstance(event, AttemptStarted):
            self.attempts.append(Attempt(self._now(), event.endpoint))


class Plain:
    """Stubs of grpclib's own: one channel a replica, by turns, with a fixed timeout."""

    def __init__(self, channels: Sequence[tuple[str, Channel]], scale: Scale) -> None:
        self._timeout = scale.timeout
        self.attempts = list[Attempt]()
        self._now = asyncio.get_running_loop().time
        self._turns = cycle(
            [
                (address, {name: UnaryUnaryMethod(channel, each.path, bytes, bytes) for name, each in METHODS.items()})
                for address, channel in channels
            ]
        )

    async def call(self, method: str, message: bytes) -> bytes:
        address, stubs = next(self._turns)
        self.attempts.append(Attempt(self._now(), address))
        return await stubs[method](message, timeout=self._timeout)


class Grpcio:
    """Google's client, to one server."""

    def __init__(self, channel: Any, scale: Scale) -> None:
        self._timeout = scale.timeout
        self.attempts = list[Attempt]()
        self._stubs = {name: channel.unary_unary(method.path) for name, method in METHODS.items()}

    async def call(self, method: str, message: bytes) -> bytes:
        return bytes(await self._stubs[method](message, timeout=self._timeout))


class Entered(Protocol):
    """Makes a way of calling out of the replicas' addresses, and the registries that know them, if any."""

    def __call__(
        self, addresses: Sequence[str], scale: Scale, registries: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Way]: ...


def policy(scale: Scale) -> Policy:
    """The policy that one gets without saying anything, but for the callers' patience."""
    if scale.patience == 1:
        return Policy()
    usual = AttemptPolicy()
    times = AttemptPolicy(least=scale.patience * usual.least, most=scale.patience * usual.most)
    return Policy(attempt=times)


@asynccontextmanager
async def mesh(
    addresses: Sequence[str], scale: Scale, registries: Sequence[str] = (), but: Mapping[str, Any] = NOTHING
) -> AsyncIterator[Mesh]:
    """Returns once it knows all of them and has made a call. The policy is the usual one, but for these fields."""
    events = Events()
    async with ServiceClient(
        SERVICE,
        methods=METHODS,
        source=Leases(registries) if registries else Static(addresses),
        events=events,
        codec=Raw(),
        policy=replace(policy(scale), **but),
        rng=scale.rng("mesh"),
    ) as client:
        way = Mesh(client, events, scale)
        async with asyncio.timeout(PATIENCE):
            while len(client.endpoints()) < len(addresses):  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.05)
        await _answered(way)
        yield way


@asynccontextmanager
async def plain(
    addresses: Sequence[str],
    scale: Scale,
    registries: Sequence[str] = (),  # noqa: ARG001  # it asks nobody
) -> AsyncIterator[Plain]:
    """Returns once it has made a call over each connection."""
    with ExitStack() as opened:
        channels = []
        for address in addresses:
            host, port = split_address(address)
            channel = Channel(host, port, codec=Raw())
            opened.callback(channel.close)
            channels.append((address, channel))
        way = Plain(channels, scale)
        for _ in addresses:
            await _answered(way)
        yield way


async def _answered(way: Way) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await way.call("Read", b"first")
            except Exception:  # noqa: BLE001  # whatever it is, it may pass within the limit
                await asyncio.sleep(0.05)
            else:
                way.attempts.clear()
                return


@asynccontextmanager
async def grpcio(
    addresses: Sequence[str],
    scale: Scale,
    registries: Sequence[str] = (),  # noqa: ARG001  # it asks nobody
) -> AsyncIterator[Grpcio]:
    """Returns once it has made a call to the first of them; it knows no other."""
    async with grpc.aio.insecure_channel(addresses[0]) as channel:
        way = Grpcio(channel, scale)
        await _answered(way)
        yield way


WAYS: dict[str, Entered] = {"mesh": mesh, "plain": plain, "grpcio": grpcio}
