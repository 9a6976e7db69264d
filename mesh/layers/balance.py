"""Takes one of the available endpoints for each attempt."""

from collections.abc import Sequence
from random import Random
from typing import Protocol

from mesh.call import Call, Handler, Reply
from mesh.decide.choice import choose
from mesh.errors import MeshError, NoEndpoint
from mesh.events import Chosen, Events, NobodyToAsk


class Endpoint(Protocol):
    """A handler that shows what a balancer must see."""

    @property
    def address(self) -> str: ...

    @property
    def available(self) -> bool:
        """False while a call would be refused or nobody is at home."""
        ...

    async def __call__(self, call: Call) -> Reply: ...


class Endpoints(Protocol):
    """Those who could answer, as far as is known at this moment."""

    def known(self) -> Sequence[Endpoint]: ...

    def retry_after(self) -> float:
        """Seconds until one of them may be available again."""
        ...


def balance(service: str, endpoints: Endpoints, rng: Random, events: Events) -> Handler:
    """A random choice among the available endpoints, other than those the call has already tried."""

    async def handler(call: Call) -> Reply:
        known = endpoints.known()
        available = [endpoint for endpoint in known if endpoint.available]
        if not available:
            raise _nobody(service, call, endpoints, len(known), events)
        endpoint = choose(available, call.avoid, rng)
        events.emit(Chosen(call.method.path, call.request_id, endpoint.address, len(available), len(known)))
        try:
            return await endpoint(call)
        except MeshError as error:
            error.endpoint = endpoint.address
            raise

    return handler


def _nobody(service: str, call: Call, endpoints: Endpoints, known: int, events: Events) -> NoEndpoint:
    reason = "none_available" if known else "none_known"
    events.emit(NobodyToAsk(call.method.path, call.request_id, known, reason))
    told = f"none of the {known} endpoints of {service} is available" if known else f"no endpoint of {service} is known"
    return NoEndpoint(told, retry_after=endpoints.retry_after())
