"""Every way a request can fail, and the one table by which failures of the mesh become problems.

Source: RFC 9457 (problem+json).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple

import orjson

from gateway.http.exchange import Exchange
from gateway.http.links import location
from gateway.http.proxy_status import proxy_status
from mesh.errors import (
    OUTCOME_UNKNOWN,
    REPLY_TOO_LARGE,
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
from mesh.status import Status

MEDIA_TYPE = "application/problem+json"
NO_TRACE = "0" * 32
"""The trace id of what was refused before a trace began; W3C Trace Context calls it invalid."""


class FieldError(NamedTuple):
    """One thing wrong with a request: a field, parameter or header, and what it must be. Never its value."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: what `type`, `title` and `status` say, and the `detail` where nothing better is known."""

    status: int
    slug: str
    title: str
    detail: str

    @property
    def type(self) -> str:
        return f"urn:caremesh:problem:{self.slug}"


INVALID = Kind(400, "invalid", "The request is not valid", "Correct what `errors` names and send it again.")
PRECONDITION = Kind(400, "precondition", "The request does not fit the present state", "Read again, then decide.")
UNAUTHENTICATED = Kind(401, "unauthenticated", "Who asks is not known", "Log in and repeat the request.")
FORBIDDEN = Kind(403, "forbidden", "This is not permitted", "Ask someone who may.")
NOT_FOUND = Kind(404, "not-found", "There is no such thing", "Nothing is known under this path.")
METHOD = Kind(405, "method-not-allowed", "This method is not for this path", "Use a method that `Allow` names.")
TIMEOUT = Kind(408, "request-timeout", "The request did not arrive in time", "Send it whole, and sooner.")
CONFLICT = Kind(409, "conflict", "This contradicts what is stored", "Read what is stored, then decide.")
EXISTS = Kind(409, "exists", "This source_id is taken", "It stays taken for good; `Location` names its holder.")
ILLEGAL_STEP = Kind(409, "illegal-step", "Its status cannot change so", "Read it again, then decide.")
DELETED = Kind(410, "deleted", "It was deleted", "A deleted thing does not come back; write a new one.")
CHANGED = Kind(412, "version-mismatch", "It has changed since it was read", "Read it again, then decide.")
TOO_LARGE = Kind(413, "too-large", "The request is too large", "A body may have at most 1 MiB.")
TARGET_TOO_LONG = Kind(414, "uri-too-long", "The path and query are too long", "They may have at most 8 KiB.")
MEDIA = Kind(415, "unsupported-media-type", "The body is not JSON", "Send UTF-8 JSON as application/json, not packed.")
MISDIRECTED = Kind(421, "misdirected", "This host is not served here", "Use a host name that the gateway was told of.")
KEY_REUSED = Kind(422, "key-reused", "This key belongs to another request", "Use a new Idempotency-Key.")
REUSED = FieldError("Idempotency-Key", "was used for another request; choose a new one")
MATCH_NEEDED = Kind(428, "if-match-required", "If-Match is needed here", "Read it, and send its ETag as If-Match.")
RATE = Kind(429, "too-many", "Too many requests", "Wait as long as Retry-After says.")
HEADERS_TOO_LARGE = Kind(431, "headers-too-large", "The headers are too large", "They may have at most 32 KiB.")
INTERNAL = Kind(500, "internal", "Something went wrong here", "It was noted under the request_id.")
UNIMPLEMENTED = Kind(501, "unimplemented", "The service cannot do this yet", "It may be older than the gateway.")
UNAVAILABLE = Kind(503, "unavailable", "The service cannot be reached now", "Nothing was done; repeat it later.")
NO_ROOM = Kind(
    503,
    "no-room",
    "There is no room to store it",
    "Nothing was stored; reading goes on. Have room made on the disk of the service's database, then repeat it.",
)
OVERLOADED = Kind(503, "overloaded", "There is too much to do just now", "Nothing was done; repeat it later.")
LATE = Kind(504, "timeout", "No answer came in time", "Repeat it, with more time if need be.")
UNKNOWN_OUTCOME = Kind(
    504,
    "outcome-unknown",
    "Whether the change was made is not known",
    "Repeat it as it was, with the Idempotency-Key that `idempotency_key` gives: however often, it is done once.",
)

BY_CODE: Mapping[tuple[Status, str], Kind] = {
    (Status.NOT_FOUND, "DELETED"): DELETED,
    (Status.ABORTED, "VERSION_MISMATCH"): CHANGED,
    (Status.RESOURCE_EXHAUSTED, "TOO_LARGE"): TOO_LARGE,
    (Status.RESOURCE_EXHAUSTED, REPLY_TOO_LARGE): INTERNAL,
    (Status.RESOURCE_EXHAUSTED, "DATABASE_FULL"): NO_ROOM,
    (Status.FAILED_PRECONDITION, "KEY_REUSED"): KEY_REUSED,
    (Status.FAILED_PRECONDITION, "ILLEGAL_STEP"): ILLEGAL_STEP,
    (Status.FAILED_PRECONDITION, "IF_MATCH_REQUIRED"): MATCH_NEEDED,
    (Status.UNAVAILABLE, "OVERLOADED"): OVERLOADED,
    (Status.UNAVAILABLE, OUTCOME_UNKNOWN): UNKNOWN_OUTCOME,
}
"""An answer that gives google.rpc.ErrorInfo.reason. One that is not named here goes by its status."""

BY_STATUS: Mapping[Status, Kind] = {
    Status.INVALID_ARGUMENT: INVALID,
    Status.FAILED_PRECONDITION: PRECONDITION,
    Status.OUT_OF_RANGE: INVALID,
    Status.UNAUTHENTICATED: UNAUTHENTICATED,
    Status.PERMISSION_DENIED: FORBIDDEN,
    Status.NOT_FOUND: NOT_FOUND,
    Status.ALREADY_EXISTS: EXISTS,
    Status.ABORTED: CONFLICT,
    Status.RESOURCE_EXHAUSTED: RATE,
    Status.UNIMPLEMENTED: UNIMPLEMENTED,
    Status.UNAVAILABLE: UNAVAILABLE,
    Status.CANCELLED: UNAVAILABLE,
    Status.DEADLINE_EXCEEDED: LATE,
}
"""An answer without a reason. What is not here (UNKNOWN, INTERNAL, DATA_LOSS) is ours to mend: 500."""

BY_ERROR: Mapping[type[MeshError], Kind] = {
    CircuitOpen: UNAVAILABLE,
    Overloaded: OVERLOADED,
    NoEndpoint: UNAVAILABLE,
    Unreachable: UNAVAILABLE,
    Refused: UNAVAILABLE,
    Rejected: UNAVAILABLE,
    DeadlineExceeded: LATE,
    Lost: LATE,
    MeshError: INTERNAL,
}
"""No answer. Subclasses go by their nearest ancestor here."""


@dataclass(eq=False)
class Problem(Exception):
    """A failure on its way to the client. `members` are RFC 9457 extension members."""

    kind: Kind
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)

    def body(self, exchange: Exchange) -> bytes:
        told: dict[str, Any] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail or self.kind.detail,
            "instance": f"urn:caremesh:request:{exchange.request_id}",
            "request_id": exchange.request_id,
            "trace_id": exchange.trace_id or NO_TRACE,
        }
        if self.kind.status in (400, 422):
            told["errors"] = [error._asdict() for error in self.errors]
        if self.kind is UNKNOWN_OUTCOME:
            told["idempotency_key"] = exchange.key
        return orjson.dumps(told | dict(self.members))


def invalid(*errors: FieldError) -> Problem:
    """A 400 that names every field that is wrong."""
    return Problem(INVALID, errors=errors)


def kind_of(error: MeshError, *, write: bool) -> Kind:
    """What a failed call is to the client. `write`: the call was to change something."""
    remote = isinstance(error, RemoteError)
    kind = _remote(error) if isinstance(error, RemoteError) else _nearest(error)
    late = kind in (LATE, UNKNOWN_OUTCOME)
    if write:
        # A deadline that passed before anything was sent leaves nothing in doubt; a service's own does.
        return UNKNOWN_OUTCOME if error.maybe_done or (remote and late) else kind
    return LATE if late else kind


def problem_of(error: MeshError, *, write: bool, story: Iterable[Mapping[str, Any]] = ()) -> Problem:
    """The problem that a failed call becomes, with `Retry-After` and `Proxy-Status` where they say something.

    `story`: the events of the call, as `Stories` tells them.
    """
    kind = kind_of(error, write=write)
    headers = {}
    if kind.status in (429, 503):
        wait = getattr(error, "pushback" if isinstance(error, RemoteError) else "retry_after", None)
        headers["Retry-After"] = str(max(1, ceil(wait or 0)))
    if kind.status >= 500:  # noqa: PLR2004
        headers["Proxy-Status"] = proxy_status(error, story)
    if not isinstance(error, RemoteError):
        return Problem(kind, headers=headers)
    told = error.message if kind.status < 500 and kind is not UNKNOWN_OUTCOME else ""  # noqa: PLR2004
    if kind is EXISTS:
        headers |= _holder(error.info)
    members = {"legal_steps": _listed(error.info.get("legal", ""))} if kind is ILLEGAL_STEP else {}
    errors = tuple(FieldError(*violation) for violation in error.violations)
    errors = errors or ((REUSED,) if kind is KEY_REUSED else ())
    return Problem(kind, detail=told, errors=errors, headers=headers, members=members)


def _listed(text: str) -> list[str]:
    return [item for item in text.split(",") if item]


def _holder(info: Mapping[str, str]) -> dict[str, str]:
    """Where the holder of a source_id is, by what the service told of it."""
    for noun in ("record", "prescription"):
        if {f"{noun}_id", "patient_id"} <= info.keys():
            return {"Location": location(noun, info["patient_id"], info[f"{noun}_id"])}
    return {}


def _remote(error: RemoteError) -> Kind:
    return BY_CODE.get((error.status, error.code)) or BY_STATUS.get(error.status, INTERNAL)


def _nearest(error: MeshError) -> Kind:
    return next(BY_ERROR[ancestor] for ancestor in type(error).__mro__ if ancestor in BY_ERROR)
