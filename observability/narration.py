"""What the mesh did, as log lines: one a call that was handled, one a change of state."""

import logging
from collections.abc import Callable
from typing import Any

from mesh.events import (
    BreakerChanged,
    EjectionChanged,
    EndpointsChanged,
    Event,
    LimitChanged,
    NotRetried,
    ProbeChanged,
    RegistryChanged,
    Retried,
    ServerEnded,
    Shed,
    StoreChanged,
    WouldHave,
)
from observability.logs import log_call

log = logging.getLogger(__name__)


def narrate(event: Event) -> None:
    """A listener of `mesh.events`."""
    tell = _TOLD.get(type(event))
    if tell:
        tell(event)


def _handled(event: ServerEnded) -> None:
    # Probes and the registry's housekeeping come each second; they are told when they fail.
    if event.failure or not event.started.method.startswith(("/grpc.health.v1.", "/mesh.registry.")):
        request_id = event.started.metadata.get("request-id", "")
        log_call(event.started.method, event.status, event.seconds, request_id, event.failure)


def _breaker(event: BreakerChanged) -> None:
    log.warning(
        "%s: breaker of %s %s → %s (%s)", event.service, event.endpoint, event.before, event.after, event.reason
    )


def _ejection(event: EjectionChanged) -> None:
    log.warning("%s: %s %s → %s (%s)", event.service, event.endpoint, event.before, event.after, event.reason)


def _probe(event: ProbeChanged) -> None:
    log.info("%s: %s is %s (was %s)", event.service, event.endpoint, event.after, event.before)


def _endpoints(event: EndpointsChanged) -> None:
    changes = [f"+{address}" for address in event.added] + [f"-{address}" for address in event.removed]
    log.info("%s: endpoints %s (%s)", event.service, " ".join(changes), event.reason)


def _registry(event: RegistryChanged) -> None:
    word = "reached" if event.reachable else "away"
    log.log(
        logging.INFO if event.reachable else logging.WARNING, "registry %s %s (%s)", event.registry, word, event.reason
    )


def _store(event: StoreChanged) -> None:
    word = "reached" if event.reachable else "away"
    log.log(
        logging.INFO if event.reachable else logging.WARNING,
        "%s: the store of answers is %s (%s)",
        event.service,
        word,
        event.reason,
    )


def _retried(event: Retried) -> None:
    log.debug(
        "%s: attempt %d ended in %s, again in %.0f ms", event.method, event.number, event.outcome, event.delay * 1000
    )


def _not_retried(event: NotRetried) -> None:
    log.debug("%s: given up after attempt %d: %s, %s", event.method, event.number, event.outcome, event.reason)


def _would_have(event: WouldHave) -> None:
    log.debug("%s: %s in shadow would have %s (%s)", event.service, event.policy, event.what, event.reason)


def _shed(event: Shed) -> None:
    log.debug("%s: %s refused, %d of %d: %s", event.service, event.method, event.in_flight, event.limit, event.reason)


def _limit(event: LimitChanged) -> None:
    log.debug("%s: limit %d → %d (%s)", event.service, event.before, event.after, event.reason)


_TOLD: dict[type[Event], Callable[[Any], None]] = {
    ServerEnded: _handled,
    BreakerChanged: _breaker,
    EjectionChanged: _ejection,
    ProbeChanged: _probe,
    EndpointsChanged: _endpoints,
    RegistryChanged: _registry,
    StoreChanged: _store,
    Shed: _shed,
    LimitChanged: _limit,
    Retried: _retried,
    NotRetried: _not_retried,
    WouldHave: _would_have,
}
