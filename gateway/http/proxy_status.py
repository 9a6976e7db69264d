"""`Proxy-Status`: why a call failed, in a line. `caremesh explain` tells the whole story.

Source: RFC 9209; section 2.3 for the errors.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mesh.errors import (
    CircuitOpen,
    DeadlineExceeded,
    Lost,
    MeshError,
    NoEndpoint,
    Overloaded,
    Refused,
    Rejected,
    RemoteError,
    Unreachable,
)

BY_ERROR: Mapping[type[MeshError], str] = {
    CircuitOpen: "destination_unavailable",
    Overloaded: "connection_limit_reached",
    NoEndpoint: "destination_unavailable",
    Unreachable: "connection_refused",
    Refused: "destination_unavailable",
    Rejected: "destination_unavailable",
    DeadlineExceeded: "http_response_timeout",
    Lost: "connection_terminated",
    MeshError: "proxy_internal_error",
}
"""Subclasses go by their nearest ancestor here. An answer of the service's own (RemoteError) is no error of the way."""
BY_REASON = {"attempt_timeout": "connection_read_timeout"}
"""Where the reason says more than the class."""


def proxy_status(error: MeshError, story: Iterable[Mapping[str, Any]]) -> str:
    """The header's value for a call that ended so. `story`: the events of that call, as `Stories` tells them."""
    return told(None if isinstance(error, RemoteError) else _name(error), _details(error, story))


def told(name: str | None, details: str) -> str:
    """The header's value. `details` goes into a string of RFC 9651, which is ASCII without controls."""
    safe = "".join(letter if " " <= letter <= "~" else "?" for letter in details)
    text = safe.replace("\\", "\\\\").replace('"', '\\"')
    return "; ".join(["caremesh", *([f"error={name}"] if name else []), f'details="{text}"'])


def _name(error: MeshError) -> str:
    by_class = next(BY_ERROR[ancestor] for ancestor in type(error).__mro__ if ancestor in BY_ERROR)
    return BY_REASON.get(error.reason, by_class)


def _details(error: MeshError, story: Iterable[Mapping[str, Any]]) -> str:
    """Each attempt by its endpoint and outcome, and why there was no further one."""
    attempts, endpoint, why = [], "", ""
    for event in story:
        match event["event"]:
            case "Chosen":
                endpoint = event["endpoint"]
            case "NobodyToAsk":
                endpoint = ""
            case "Retried" | "NotRetried":
                attempts.append(f"{endpoint} {event['outcome']}".strip())
                why = event.get("reason", "") if event["event"] == "NotRetried" else ""
    attempts = attempts or [f"{error.endpoint} {error.reason}".strip()]
    return ", ".join(attempts) + (f"; not repeated: {why}" if why else "")
