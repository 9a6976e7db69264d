"""A service as the gateway calls it in truth, by a client of the mesh that keeps answers, over a wire in memory."""

from typing import Any

from mesh.cache import Store
from mesh.call import CACHE_TAGS, Call, Reply
from mesh.client import ServiceClient
from mesh.clock import Clock
from mesh.endpoints import Static
from mesh.errors import RemoteError
from mesh.events import Events
from mesh.policy import Policy
from mesh.wire.grpc.health import v1 as health
from protos.codec import Codec
from tests.fakes.upstream import METHODS, FakeService

TAGS = {CACHE_TAGS: "patient/7"}
SERVING = health.HealthCheckResponse(status=health.HealthCheckResponseServingStatus.SERVING)


class FakeWire:
    """Calls a fake service; whatever it is asked for is about patient 7."""

    def __init__(self, service: FakeService) -> None:
        self._service = service

    async def __call__(self, call: Call) -> Reply:
        if call.method.path.startswith("/grpc.health."):
            return Reply(SERVING)
        told: dict[str, Any] = {"timeout": call.timeout, "metadata": call.metadata, "scope": call.scope}
        try:
            reply = await self._service.call(
                call.method.name, call.message, request_id=call.request_id, cached=call.cached, **told
            )
        except RemoteError as error:
            error.headers = TAGS
            raise
        return reply._replace(headers=TAGS)

    def close(self) -> None:
        pass

    def close_when_idle(self) -> None:
        pass


def keeping(
    service: FakeService,
    policy: Policy,
    clock: Clock,
    events: Events,
    *,
    memory: int = 2**20,
    store: Store | None = None,
) -> ServiceClient:
    """A client of the service; to be entered."""
    return ServiceClient(
        service.service,
        methods=METHODS,
        source=Static(["127.0.0.1:50051"]),
        events=events,
        codec=Codec(),
        policy=policy,
        memory=memory,
        store=store,
        connect=lambda _: FakeWire(service),
        clock=clock,
    )
