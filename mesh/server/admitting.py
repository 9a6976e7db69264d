"""Lets a server's calls in, before their messages are read, and says no in gRPC's words."""

import asyncio
from collections.abc import Awaitable, Mapping
from functools import cache
from typing import Any, cast

from grpclib.const import Handler
from grpclib.const import Status as GrpcStatus
from grpclib.exceptions import GRPCError
from grpclib.metadata import encode_bin_value

from mesh.admission import Admission, Asking, Ending, Permit
from mesh.call import PRIORITY, PUSHBACK, REQUEST_ID
from mesh.clock import Clock
from mesh.details import Details, DetailsCodec
from mesh.errors import OVERLOADED, Overloaded
from mesh.policy.methods import PRIORITIES, Priority
from mesh.server.requests import Asked, refused
from mesh.status import Status

PROBES = "/grpc.health.v1.Health/"
FULL = "there is too much to do here just now; come again when grpc-retry-pushback-ms says"
FAULTS = frozenset({GrpcStatus.UNAVAILABLE, GrpcStatus.INTERNAL, GrpcStatus.UNKNOWN, GrpcStatus.DATA_LOSS})
"""What ended so says nothing of how long calls take."""


class Admitting:
    """Asks `admission` for a permit for each call.

    Args:
        domain: google.rpc.ErrorInfo.domain of what is refused.
    """

    def __init__(self, admission: Admission, domain: str, clock: Clock) -> None:
        self._admission, self._domain, self._clock = admission, domain, clock

    async def let_in(self, request: Asked) -> Permit:
        """Returns once the call may begin.

        Raises:
            Refusal: it may not.
        """
        deadline = float("inf") if request.timeout is None else self._clock.now() + request.timeout
        request_id = str(request.metadata.get(REQUEST_ID, ""))
        priority = priority_of(request.handler, request.path, request.metadata)
        try:
            return await self._admission.enter(Asking(request.path, priority, deadline, request_id))
        except Overloaded as error:
            pushback = str(round((error.retry_after or 0.0) * 1000))
            told = {"grpc-status-details-bin": _details(self._domain), PUSHBACK: pushback}
            raise refused(Status.UNAVAILABLE, FULL, told) from None

    async def handle(self, request: Asked, call: Any, permit: Permit) -> None:
        """Has the method do it, and gives the permit back."""
        call.waited = permit.waited
        await counted(self._admission, permit, request.handler.func(call))


async def counted(admission: Admission, permit: Permit, work: Awaitable[None]) -> None:
    """Gives the permit back once the work is over, and tells how it ended."""
    ending: Ending = "unsaid"
    try:
        await work
        ending = "done"
    except GRPCError as error:
        late = error.status is GrpcStatus.DEADLINE_EXCEEDED
        ending = "gone" if late else "unsaid" if error.status in FAULTS else "done"
        raise
    except asyncio.CancelledError:
        ending = "gone"
        raise
    finally:
        admission.leave(permit, ending)


def priority_of(handler: Handler, path: str, metadata: Mapping[str, Any]) -> Priority:
    """A word that is not known is as none. What lasts as long as its caller likes takes up no place."""
    if path.startswith(PROBES) or handler.cardinality.server_streaming:
        return "always"
    said = metadata.get(PRIORITY)
    return cast("Priority", said) if said in PRIORITIES else "normal"


@cache
def _details(domain: str) -> str:
    """Made once: to refuse must cost little."""
    packed = DetailsCodec().encode(GrpcStatus.UNAVAILABLE, FULL, Details(OVERLOADED, domain))
    return encode_bin_value(packed).decode("ascii")
