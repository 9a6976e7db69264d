"""What the mesh did and why, told to whoever listens: metrics, traces and logs are listeners, never imports.

Events carry method paths, addresses, counts and reasons; never a message, so never patient data.
Listeners are called in the task of the call, at once, and must be quick.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from traceback import extract_tb
from typing import Any

log = logging.getLogger("mesh.events")


@dataclass(slots=True, eq=False)
class Event:
    """The root. Two events are never equal: each is one moment.

    Nobody changes one; that it is not frozen spares a call several microseconds.
    """


@dataclass(slots=True, eq=False)
class CallStarted(Event):
    """A call begins, which may become several attempts.

    Attributes:
        granted: seconds until it must be answered.
        reason: who said so: "caller", "handled" (what was left of the call being handled), or "policy".
    """

    method: str
    request_id: str
    granted: float
    reason: str


@dataclass(slots=True, eq=False)
class CallEnded(Event):
    """The same call is over. `outcome` is "ok", "cancelled" or the error's reason."""

    started: CallStarted
    outcome: str
    seconds: float


@dataclass(slots=True, eq=False)
class AttemptStarted(Event):
    """One attempt leaves for an endpoint, and is waited for so many seconds.

    What a listener adds to `metadata` travels with it.
    """

    method: str
    request_id: str
    endpoint: str
    number: int
    granted: float
    metadata: MutableMapping[str, str]


@dataclass(slots=True, eq=False)
class AttemptEnded(Event):
    """The same attempt is over. `outcome` is "ok", "cancelled" or the error's reason."""

    started: AttemptStarted
    outcome: str
    seconds: float


@dataclass(slots=True, eq=False)
class Retried(Event):
    """Another attempt follows after `delay` seconds. So many retries are left for the service's other calls."""

    method: str
    request_id: str
    number: int
    outcome: str
    delay: float
    budget: int


@dataclass(slots=True, eq=False)
class NotRetried(Event):
    """A failed call is given up, and why: `mesh.decide.repeat.WhyNot`. So many retries are left for the others."""

    method: str
    request_id: str
    number: int
    outcome: str
    reason: str
    budget: int


@dataclass(slots=True, eq=False)
class Hedged(Event):
    """An attempt has taken longer than most, and the same is asked of another endpoint, too.

    Attributes:
        number: of the attempt that takes long.
        seconds: that it has taken.
        budget: so many hedges are left for the service's other calls.
    """

    method: str
    request_id: str
    number: int
    seconds: float
    budget: int


@dataclass(slots=True, eq=False)
class NotHedged(Event):
    """An attempt has taken longer than most, and no other is asked; why: `mesh.decide.hedge.WhyNot`."""

    method: str
    request_id: str
    number: int
    seconds: float
    reason: str
    budget: int


@dataclass(slots=True, eq=False)
class Chosen(Event):
    """The balancer took an endpoint out of so many that were available.

    Attributes:
        reason: of mesh.decide.choice.Choice.
        weighed: addresses and their scores, of those that were compared: seconds × (calls under way + 1).
    """

    method: str
    request_id: str
    endpoint: str
    reason: str
    weighed: tuple[tuple[str, float], ...]
    available: int
    known: int


@dataclass(slots=True, eq=False)
class NobodyToAsk(Event):
    """The balancer found no endpoint available."""

    method: str
    request_id: str
    known: int
    reason: str


@dataclass(slots=True, eq=False)
class Batched(Event):
    """An attempt travels with others of the same turn of the loop as one call of so many."""

    method: str
    request_id: str
    endpoint: str
    calls: int


@dataclass(slots=True, eq=False)
class FaultInjected(Event):
    """An attempt is delayed by `delay` seconds, and ends in `error` unless that is "": on purpose, by `mesh.faults`."""

    method: str
    request_id: str
    endpoint: str
    delay: float
    error: str


@dataclass(slots=True, eq=False)
class BreakerChanged(Event):
    """An endpoint's breaker went from one state to another."""

    service: str
    endpoint: str
    before: str
    after: str
    reason: str


@dataclass(slots=True, eq=False)
class EjectionChanged(Event):
    """An endpoint does worse than the others, or as well again: "in rotation", "lowered", "ejected".

    `after` is "withheld" where it should be ejected and too few others would be left.
    """

    service: str
    endpoint: str
    before: str
    after: str
    reason: str


@dataclass(slots=True, eq=False)
class WouldHave(Event):
    """A policy in shadow would have acted here: what it would have done, and why.

    `endpoint` is "" where it is about all of them, `method` and `request_id` where it is about no call.
    """

    service: str
    policy: str
    what: str
    reason: str
    endpoint: str = ""
    method: str = ""
    request_id: str = ""


@dataclass(slots=True, eq=False)
class ProbeChanged(Event):
    """An endpoint answers its probes otherwise than before: serving, not_serving, unreachable."""

    service: str
    endpoint: str
    before: str
    after: str


@dataclass(slots=True, eq=False)
class EndpointsChanged(Event):
    """A service's endpoints came or went."""

    service: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    reason: str


@dataclass(slots=True, eq=False)
class RegistryChanged(Event):
    """A registry became reachable or unreachable for this process."""

    registry: str
    reachable: bool
    reason: str


@dataclass(slots=True, eq=False)
class CacheHit(Event):
    """A read was answered without a call. `how` is "hit" or "stale"; of a stale answer `reason` says why no other."""

    method: str
    request_id: str
    how: str
    age: float
    reason: str


@dataclass(slots=True, eq=False)
class CacheMissed(Event):
    """A read needs a call, and why: absent, expired, overtaken, passed_by."""

    method: str
    request_id: str
    reason: str


@dataclass(slots=True, eq=False)
class FillDiscarded(Event):
    """An answer is not kept, and why: overtaken, untagged, too_large."""

    method: str
    request_id: str
    reason: str


@dataclass(slots=True, eq=False)
class Invalidated(Event):
    """What carries so many tags is old from now on; None for all there is. The tags themselves may name patients.

    `reason`: written, refused (somebody relied on what is old), told (another process did it), subscribed.
    """

    service: str
    tags: int | None
    reason: str


@dataclass(slots=True, eq=False)
class StoreChanged(Event):
    """The store that a service's answers are shared in became reachable or unreachable for this process."""

    service: str
    reachable: bool
    reason: str


@dataclass(slots=True, eq=False)
class Shed(Event):
    """A call was not let in, since there is too much to do.

    Attributes:
        service: that did not take it on.
        reason: of mesh.decide.turns.Refused.
        in_flight, limit: calls under way, and as many as may be.
        retry_after: seconds after which its caller is told to come again.
    """

    service: str
    method: str
    request_id: str
    priority: str
    reason: str
    in_flight: int
    limit: int
    retry_after: float


@dataclass(slots=True, eq=False)
class NotBegun(Event):
    """A call is refused, since its caller waits for `left` seconds and half of its method's calls take `usual`.

    `reason` is "too_little_time".
    """

    method: str
    request_id: str
    reason: str
    left: float
    usual: float


@dataclass(slots=True, eq=False)
class LimitChanged(Event):
    """So many calls of a service may be under way here from now on, and why: mesh.decide.limit.Why."""

    service: str
    before: int
    after: int
    reason: str


@dataclass(slots=True, eq=False)
class ServerStarted(Event):
    """A server begins to handle a call."""

    method: str
    metadata: Mapping[str, str]


@dataclass(slots=True, eq=False)
class ServerEnded(Event):
    """The same call is handled. `failure` is None, or where an unexpected exception came from, without its text."""

    started: ServerStarted
    status: str
    code: str
    seconds: float
    failure: str | None


Listener = Callable[[Any], None]


class Events:
    """Hands each event to every listener, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    def subscribe(self, listener: Listener) -> None:
        self._listeners = (*self._listeners, listener)

    @contextmanager
    def subscribed(self, listener: Listener) -> Iterator[None]:
        """Listens within the block only."""
        self.subscribe(listener)
        try:
            yield
        finally:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

    def emit(self, event: Event) -> None:
        """A listener that fails is named in the log and harms neither the call nor the other listeners."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001  # a listener's fault must not become the caller's
                log.error("a listener failed on %s: %s", type(event).__name__, whence(error))  # noqa: TRY400


def whence(error: BaseException) -> str:
    """An exception by type and place. Its text may hold what a client sent, so it is never told."""
    frames = extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
