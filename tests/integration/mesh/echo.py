"""A small service of the tests' own, in the registry's messages, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mesh.call import Call, Level, Method
from mesh.clock import SystemClock
from mesh.errors import Violation
from mesh.events import Events
from mesh.server import Health, Server, StatusError, current
from mesh.status import Status
from mesh.wire.google.protobuf import Empty
from mesh.wire.mesh.registry import v1 as pb

PATH = "/mesh.registry.v1.ServiceRegistry/"
RENEW = Method(PATH + "Renew", pb.Lease, pb.Lease, Level.NO_SIDE_EFFECTS)
WRITE = Method(PATH + "Renew", pb.Lease, pb.Lease, Level.UNKNOWN)
METHODS = {"Say": RENEW, "Do": WRITE}


@dataclass
class Echo(pb.ServiceRegistryBase):
    """Does what the lease_id says, and counts."""

    handled: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0

    async def renew(self, message: pb.Lease) -> pb.Lease:
        self.handled.append(message.lease_id)
        self.arrived.set()
        match message.lease_id:
            case "wait":
                try:
                    await self.go_on.wait()
                except asyncio.CancelledError:
                    self.cancelled += 1
                    self.ended.set()
                    raise
            case "no":
                raise StatusError(
                    Status.ABORTED, "not so", code="NOT_SO", info={"a": "b"}, violations=(Violation("f", "why"),)
                )
            case "later" | "never":
                pushback = 0.25 if message.lease_id == "later" else -1.0
                raise StatusError(Status.UNAVAILABLE, "full", pushback=pushback)
            case "cancelled":
                within = asyncio.create_task(self.go_on.wait())
                within.cancel()
                await within
            case "bug":
                raise RuntimeError("the inside: Jana Nováková")
            case "wide":
                return pb.Lease(lease_id="x" * 2**20)
            case "headers":
                current().trailers["seen"] = current().headers["who"]
                current().trailers["left"] = str(current().remaining())
        return pb.Lease(lease_id=message.lease_id, ttl_ms=1)

    async def deregister(self, message: pb.Lease) -> Empty:
        return Empty()

    async def watch(self, message: pb.WatchRequest) -> AsyncIterator[pb.EndpointList]:
        yield pb.EndpointList()
        await asyncio.Event().wait()


@asynccontextmanager
async def serving(
    *, grace: float = 0.5, events: Events | None = None, **options: Any
) -> AsyncIterator[tuple[Server, Echo, Health]]:
    echo, health = Echo(), Health()
    server = Server([echo], health=health, events=events or Events(), domain="test", grace=grace, **options)
    async with server:
        yield server, echo, health


def call(word: str, *, method: Method = RENEW, timeout: float = 5.0, **fields: object) -> Call:
    deadline = SystemClock().now() + timeout
    return Call(method=method, message=pb.Lease(lease_id=word), timeout=timeout, deadline=deadline, **fields)  # type: ignore[arg-type]
