"""Problems as the OpenAPI document describes them."""

from typing import Any

from gateway.http import headers
from gateway.http.operations import Operation
from gateway.http.problems import ILLEGAL_STEP, KEY_REUSED, MEDIA_TYPE, NO_TRACE, REUSED, UNKNOWN_OUTCOME, Kind

Json = dict[str, Any]

MEMBERS: dict[Kind, Json] = {
    UNKNOWN_OUTCOME: {"idempotency_key": headers.KEY["example"]},
    ILLEGAL_STEP: {"detail": "a prescription that is completed can become entered-in-error"}
    | {"legal_steps": ["entered-in-error"]},
    KEY_REUSED: {"errors": [REUSED._asdict()]},
}
"""What the examples of some problems have beside the members of all."""


def failures(operation: Operation) -> Json:
    """Every answer of an operation that is a problem, by status."""
    by_status: dict[int, list[Kind]] = {}
    for kind in operation.problems():
        by_status.setdefault(kind.status, []).append(kind)
    return {str(status): _failure(operation, status, kinds) for status, kinds in by_status.items()}


def _failure(operation: Operation, status: int, kinds: list[Kind]) -> Json:
    examples = {kind.slug: {"summary": kind.title, "value": _problem(kind)} for kind in kinds}
    schema = {"$ref": "#/components/schemas/" + ("InvalidProblem" if status in (400, 422) else "Problem")}
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "headers": headers.given_with(operation, status, {kind.slug for kind in kinds}),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


def _problem(kind: Kind) -> Json:
    told: Json = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": kind.detail}
    told |= {"instance": "urn:caremesh:request:visit-0831", "request_id": "visit-0831"}
    told["trace_id"] = "4bf92f3577b34da6a3ce929d0e0e4736"
    if kind.status in (400, 422):
        told["errors"] = [{"field": "date", "message": "must be a day that exists, as YYYY-MM-DD"}]
    return told | MEMBERS.get(kind, {})


def schemas(kinds: list[Kind]) -> Json:
    """The schemas of the problems of these kinds."""
    text = {"type": "string"}
    properties: Json = {
        "type": {**text, "format": "uri", "enum": sorted({kind.type for kind in kinds})},
        "title": {**text, "description": "The same for every problem of a type."},
        "status": {"type": "integer"},
        "detail": {**text, "description": "What to do about it."},
        "instance": {**text, "format": "uri"},
        "request_id": text,
        "trace_id": {**text, "pattern": "^[0-9a-f]{32}$", "description": f"{NO_TRACE} if there is none."},
    }
    always = list(properties)
    properties["idempotency_key"] = {**text, "description": "Of an outcome-unknown: what to repeat the write with."}
    properties["legal_steps"] = {
        "type": "array",
        "items": text,
        "description": "Of an illegal-step: every status that it can have next, besides its own.",
    }
    problem: Json = {"type": "object", "properties": properties, "required": always}
    item: Json = {"type": "object", "properties": {"field": text, "message": text}, "required": ["field", "message"]}
    errors = {"type": "array", "items": item, "description": "Every field that is wrong, and what it must be."}
    return {
        "Problem": problem,
        "InvalidProblem": {
            **problem,
            "properties": {**properties, "errors": errors},
            "required": [*always, "errors"],
        },
    }
