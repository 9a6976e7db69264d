"""The headers of requests and answers as the OpenAPI document describes them."""

from typing import Any

from gateway.http.conditions import MATCH, NONE_MATCH
from gateway.http.operations import Operation
from gateway.http.parameters import IDEMPOTENCY_KEY, SECONDS

Json = dict[str, Any]

TEXT = {"type": "string"}
ANSWERED: Json = {
    "Request-Id": {"description": "The request's id.", "required": True, "schema": TEXT},
    "Retry-After": {"description": "Whole seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "Proxy-Status": {
        "description": "Why, in a line: each attempt by its endpoint and outcome (RFC 9209).",
        "schema": TEXT,
        "example": 'caremesh; error=destination_unavailable; details="no_endpoint; not repeated: attempts_spent"',
    },
    "Location": {"description": "The path of it.", "schema": TEXT},
    "ETag": {
        "description": "Names these very bytes. Of one thing: its id and version, which `If-Match` takes.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[!#-~]+"$'},
        "example": '"12.1"',
    },
    "Cache-Status": {
        "description": (
            "RFC 9211: whether the answer was kept (`hit`) or asked for (`fwd`, and why). What could not be asked for "
            "may be answered with what was kept; then its `detail` says `stale`."
        ),
        "schema": TEXT,
        "example": "caremesh; hit; ttl=1",
    },
    "Server-Timing": {
        "description": (
            "Of an answer that a service was asked for: the milliseconds of each part. `gateway`: before and after the "
            "call; `cache`: there, or waiting for another's call; `attempts`: on the way, and of attempts that failed; "
            "`queue`, `database`, `service`: in the service. `total`: all of them."
        ),
        "schema": TEXT,
        "example": "gateway;dur=0.9, cache;dur=0.1, attempts;dur=0.6, queue;dur=0, database;dur=1.2, service;dur=0.3",
    },
    "Age": {
        "description": "Of an answer that was kept: for how many seconds.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Idempotency-Key": {
        "description": (
            "The key that the write was done under: yours, or one made for it. On every answer to a write whose "
            "request was well-formed, failures included; a repetition under it is answered as the first was."
        ),
        "schema": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY.pattern}$"},
    },
}
"""Headers of answers, by name: the document's components."""

REQUEST_ID: Json = {
    "name": "Request-Id",
    "in": "header",
    "description": "Your name for the request: 1 to 64 of A–Z a–z 0–9 . _ -. Another is replaced by a new one.",
    "schema": TEXT,
    "example": "visit-0831",
}
REQUEST_TIMEOUT: Json = {
    "name": "Request-Timeout",
    "in": "header",
    "description": "Seconds after which an answer is of no use to you; at most what the gateway grants.",
    "schema": {"type": "string", "pattern": f"^(?=.*[1-9]){SECONDS.pattern}$"},
    "example": "1.5",
}
KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "Your name for this one write, new for each. Sent again with the same request it is not done again: the first "
        "answer comes again, for at least 24 hours; with another request it is 422. A refusal uses no key up."
    ),
    "schema": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY.pattern}$"},
    "example": "5f0c1b9e-6d0b-4d7e-9a53-2f7f1d1f8f0a",
}
CACHE_CONTROL: Json = {
    "name": "Cache-Control",
    "in": "header",
    "description": "`no-cache`: the answer is made for this request, and not one that was kept.",
    "schema": TEXT,
    "example": "no-cache",
}
PATTERN = r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$'
"""What to send. What is taken is RFC 9110's whole grammar; see `conditions`."""

CONDITIONS = {
    MATCH: "Do it only while its `ETag` is one of these (`*`: any); else it is 412. Weak tags never match.",
    NONE_MATCH: "The `ETag` of what you have: while nothing has changed, the answer is 304 without a body.",
}


def taken(operation: Operation) -> list[Json]:
    """The headers that a request may bring, as OpenAPI parameters."""
    condition = [_condition(operation)] if operation.condition else []
    past = [CACHE_CONTROL] if operation.upstream and not operation.write else []
    return [*condition, *([KEY] if operation.write else []), *past, REQUEST_ID, REQUEST_TIMEOUT]


def _condition(operation: Operation) -> Json:
    return {
        "name": operation.condition,
        "in": "header",
        "required": operation.match_required,
        "description": CONDITIONS[operation.condition],
        "schema": {"type": "string", "pattern": PATTERN},
        "example": '"12.1"',
    }


def given(operation: Operation) -> Json:
    """The headers of its success."""
    names = ["Request-Id"]
    names += ["Location"] if operation.success == 201 else []  # noqa: PLR2004
    names += ["ETag"] if operation.upstream and operation.answer else []
    names += ["Server-Timing"] if operation.upstream else []
    names += ["Cache-Status", "Age"] if operation.upstream and not operation.write else []
    return carried(*names, *_key(operation))


def given_with(operation: Operation, status: int, slugs: set[str]) -> Json:
    """The headers of a failure."""
    names = ["Request-Id"]
    names += ["Retry-After"] if status in (429, 503) else []
    names += ["Proxy-Status"] if operation.upstream and status >= 500 else []  # noqa: PLR2004
    names += ["Location"] if "exists" in slugs else []
    return carried(*names, *_key(operation))


def _key(operation: Operation) -> list[str]:
    return ["Idempotency-Key"] if operation.write else []


def carried(*names: str) -> Json:
    """References to headers of answers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
