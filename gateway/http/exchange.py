"""One request on its way through the gateway: what the edge knows of it and the routes need."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mesh.events import Event
from mesh.served import Served

KEY = "caremesh.exchange"


@dataclass(slots=True)
class Exchange:
    """Made by the edge, completed by the route.

    Attributes:
        request_id: the client's own, where it is well-formed.
        trace_id: 32 hexadecimal digits, or "" before a trace began.
        started: seconds of the clock.
        longest: seconds that the gateway grants a request.
        key: the Idempotency-Key of a write, the client's own or made for it; "" of a read, and until it was read.
        route: the template, such as "/records/{id}"; "" until a route is found.
        calls: of each call to a service, the moments at which it began and ended, and its seconds by part.
        served: of a read, how its answer was come by; None until it is known.
    """

    request_id: str
    trace_id: str
    started: float
    longest: float
    key: str = ""
    route: str = ""
    served: Served | None = None
    calls: list[tuple[float, float, Mapping[str, float]]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Answered(Event):
    """The gateway has answered a request; 499 where nobody waited any more.

    Attributes:
        route: the template, "" where none matched.
        outcome: "ok", or "failed" where the fault is not the client's.
    """

    request_id: str
    verb: str
    route: str
    status: int
    outcome: str
    seconds: float


def exchange_of(scope: Any) -> Exchange:
    """The exchange that the edge put into an ASGI scope."""
    exchange: Exchange = scope[KEY]
    return exchange
