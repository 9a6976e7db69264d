"""Whether this process serves, told by the standard protocol `grpc.health.v1`."""

import asyncio
from collections.abc import AsyncIterator

from mesh.server.status import StatusError
from mesh.status import Status
from mesh.wire.grpc.health import v1 as pb

ServingStatus = pb.HealthCheckResponseServingStatus


class Health:
    """The state that every health answer of a process comes from.

    Attributes:
        serving: as the probes are told.
        change: set at the next change, and replaced then.
    """

    def __init__(self, *, serving: bool = True) -> None:
        self.serving = serving
        self.change = asyncio.Event()

    def set_serving(self, serving: bool) -> None:  # noqa: FBT001  # the name says what the value means
        """Changes the state and tells everybody who watches it."""
        if serving is not self.serving:
            self.serving = serving
            self.change.set()
            self.change = asyncio.Event()


class HealthService(pb.HealthBase):
    """`grpc.health.v1.Health` for the server as a whole ("") and for each service it holds.

    Source: github.com/grpc/grpc/blob/master/doc/health-checking.md.
    """

    def __init__(self, health: Health, services: frozenset[str]) -> None:
        self._health = health
        self._services = services | {""}

    async def check(self, message: pb.HealthCheckRequest) -> pb.HealthCheckResponse:
        if message.service not in self._services:
            raise StatusError(Status.NOT_FOUND, "no such service here")
        return self._answer(message.service)

    async def watch(self, message: pb.HealthCheckRequest) -> AsyncIterator[pb.HealthCheckResponse]:
        while True:
            change = self._health.change  # taken before the answer, so that none is missed
            yield self._answer(message.service)
            await change.wait()

    def _answer(self, service: str) -> pb.HealthCheckResponse:
        if service not in self._services:
            return pb.HealthCheckResponse(status=ServingStatus.SERVICE_UNKNOWN)
        serving = ServingStatus.SERVING if self._health.serving else ServingStatus.NOT_SERVING
        return pb.HealthCheckResponse(status=serving)
