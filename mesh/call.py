"""The one shape of a call and the one shape of a layer.

`Handler = Call → Awaitable[Reply]`, `Layer = Handler → Handler`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from typing import Any, NamedTuple, Protocol

from mesh.errors import NO_INFO
from mesh.served import Served

IDEMPOTENCY_KEY = "idempotency-key"
"""Metadata by which a service knows a repeated call for the one it has already done."""
ATTEMPTS_LEFT = "mesh-attempts-left"
"""Metadata: how often the caller would make the call again, were it to fail."""
PRIORITY = "mesh-priority"
"""Metadata: who goes first where there is not room for all; one of mesh.policy.methods.PRIORITIES."""
REQUEST_ID = "request-id"
"""Metadata by which logs of several processes are brought together."""
CACHE_TAGS = "cache-tags"
"""Trailing metadata of reads and writes: what they are about, names with spaces between: "patient/7 record/12".
A write makes old whatever was read under one of its tags; a read without any is not kept."""
PUSHBACK = "grpc-retry-pushback-ms"
"""Trailing metadata: when a call may be made again. Source: gRFC A6 (github.com/grpc/proposal)."""


class Level(Enum):
    """What happens when a call is made twice; google.protobuf.MethodOptions.IdempotencyLevel by its names."""

    UNKNOWN = "IDEMPOTENCY_UNKNOWN"
    NO_SIDE_EFFECTS = "NO_SIDE_EFFECTS"
    IDEMPOTENT = "IDEMPOTENT"


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service, as its `.proto` names it."""

    path: str
    request: type
    reply: type
    level: Level

    @property
    def service(self) -> str:
        return self.path.split("/")[1]

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[1]


class Call(NamedTuple):
    """One call, immutable: a layer that changes something hands on a copy (`_replace`).

    A named tuple, since it is made and copied on every call: a frozen dataclass costs six times as much.

    Attributes:
        message: the request.
        timeout: seconds the caller grants from now on; the deadline layer turns it into `deadline`.
        deadline: seconds of the clock by which the answer must be there.
        metadata: what travels beside the message.
        scope: opaque; calls of different scopes never share an answer or a key.
        request_id: names the request in events, logs and traces.
        repeatable: may it be made twice without harm? By its nature, or because a key tells the far side that it is
            the same.
        attempts: at the most, the first included.
        outer: how often the call that is being handled would still be made again as a whole, by its own caller.
        attempt: 1 for the first, counted by the retry layer.
        avoid: addresses that this call has already tried.
        asked: where the balancer notes whom it asks, if somebody wants to know while it is under way.
        cached: may it be answered by what is kept from another call?
    """

    method: Method
    message: Any
    timeout: float
    deadline: float = float("inf")
    metadata: Mapping[str, str] = NO_INFO
    scope: str = ""
    request_id: str = ""
    repeatable: bool = False
    attempts: int = 1
    outer: int = 0
    attempt: int = 1
    avoid: frozenset[str] = frozenset()
    asked: list[str] | None = None
    cached: bool = True


class Reply(NamedTuple):
    """An answer, immutable: others who asked for the same may have been given the same one.

    Attributes:
        message: nobody changes it.
        headers: the trailing metadata.
        endpoint: the address that gave it.
        seconds: that its attempts took, pauses between them included; 0 where there were none.
        served: of a read whose answers are kept, how it was come by.
    """

    message: Any
    headers: Mapping[str, str] = NO_INFO
    endpoint: str = ""
    seconds: float = 0.0
    served: Served | None = None


Handler = Callable[[Call], Awaitable[Reply]]
Layer = Callable[[Handler], Handler]


def stack(*layers: Layer) -> Layer:
    """One layer out of several, the first named outermost."""
    return lambda innermost: reduce(lambda handler, layer: layer(handler), reversed(layers), innermost)


class Service(Protocol):
    """A service's base class as betterproto2 and grpclib generate it."""

    def __mapping__(self) -> Mapping[str, Any]: ...


def methods_of(service: type[Service], levels: Mapping[str, str]) -> dict[str, Method]:
    """The unary methods of a generated service by name, with types from the generated code and levels from the table.

    Raises:
        KeyError: the table lacks a method.
    """
    methods = (
        Method(path, handler.request_type, handler.reply_type, Level(levels[path]))
        for path, handler in service().__mapping__().items()
        if not handler.cardinality.server_streaming and not handler.cardinality.client_streaming
    )
    return {method.name: method for method in methods}
