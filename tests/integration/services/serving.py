"""The two services behind real servers, called over real sockets as any client calls them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from hosting.hosted import Ground, Hosted
from mesh.call import Call, Reply, methods_of
from mesh.clock import SystemClock
from mesh.errors import RemoteError
from mesh.server import Health, Server
from mesh.transport import Transport
from observability.tracing import Tracing
from protos.codec import Codec
from protos.generated.caremesh import v1 as pb
from protos.generated.levels import LEVELS
from storage.database import Database
from tests.fakes.mesh import Recorded

METHODS = methods_of(pb.PatientRecordsServiceBase, LEVELS) | {
    f"{method.service}/{name}": method
    for base in (pb.PatientRecordsServiceBase, pb.PrescriptionManagementServiceBase)
    for name, method in methods_of(base, LEVELS).items()
}


class Client:
    """Calls methods by name; keeps the health and the events of the server it calls."""

    def __init__(self, service: str, transport: Transport, health: Health, events: Recorded) -> None:
        self._service, self._transport = service, transport
        self.health, self.events = health, events

    async def call(self, name: str, message: Any, **options: Any) -> Any:
        """The answer's message; an underscore in a word of metadata stands for a hyphen."""
        return (await self.reply(name, message, **options)).message

    async def reply(self, name: str, message: Any, *, timeout: float = 10.0, **words: str) -> Reply:
        """The answer with its trailing metadata."""
        metadata = {word.replace("_", "-"): value for word, value in words.items()}
        method = METHODS[f"{self._service}/{name}"]
        deadline = SystemClock().now() + timeout
        call = Call(method=method, message=message, timeout=timeout, deadline=deadline, metadata=metadata)
        return await self._transport(call)

    async def refusal(self, name: str, message: Any, **options: Any) -> RemoteError:
        """The error that a call is answered with."""
        try:
            answer = await self.call(name, message, **options)
        except RemoteError as error:
            return error
        raise AssertionError(f"it was answered with a {type(answer).__name__}")


@asynccontextmanager
async def serving(hosted: Hosted, service: str, database: Database) -> AsyncIterator[Client]:
    """A client of the service on this database."""
    health, events = Health(), Recorded()
    ground = Ground(database, health, hosted.settings(), events, Tracing(service, "test"))
    built = hosted.build(ground).service
    async with Server([built], health=health, events=events, codec=Codec(), domain="caremesh") as server:
        transport = Transport(server.address, Codec(), SystemClock())
        try:
            yield Client(f"caremesh.v1.{service}", transport, health, events)
        finally:
            transport.close()
