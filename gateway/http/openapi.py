"""The OpenAPI 3.1 document, walked from the url_map and the schemas: it cannot forget a route."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from quart import Quart

from gateway.http.limits import MAX_ID
from gateway.http.operations import Operation, template
from gateway.http.parameters import SECONDS, Query
from gateway.http.problems import MEDIA_TYPE, NO_TRACE, Kind
from mesh.version import __version__

Json = dict[str, Any]

TAGS = {
    "Records": "What was found and decided: diagnoses, treatment plans, medical history, notes.",
    "Prescriptions": "What was prescribed, and for whom.",
    "Control": "Probes, and this document.",
}
DESCRIPTION = """\
Patient records and prescriptions of a clinic.

Ids are whole numbers from 1 to 2147483647, assigned by the services and never used again. Every failure is an
`application/problem+json` (RFC 9457) whose `request_id` names it in the logs and whose `trace_id` names its trace.
Every answer carries `Request-Id`; send your own and it is kept. `Request-Timeout` (seconds) shortens the time that a
request may take.
"""
REQUEST_ID = {"description": "The request's id.", "required": True, "schema": {"type": "string"}}
RETRY_AFTER = {"description": "Whole seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
LOCATION = {"description": "The path of it.", "schema": {"type": "string"}}


def document(app: Quart) -> Json:
    """The whole document."""
    routes = [(template(rule.rule), verb, operation) for rule, verb, operation in operations(app)]
    paths: Json = {}
    for path, verb, operation in routes:
        paths.setdefault(path, {})[verb.lower()] = _operation(operation)
    kinds = sorted({kind for *_, operation in routes for kind in operation.problems()}, key=lambda kind: kind.slug)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CareMesh",
            "version": __version__,
            "summary": "Patient records and prescriptions",
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": told} for name, told in TAGS.items()],
        "paths": paths,
        "components": {"schemas": _schemas([operation for *_, operation in routes], kinds), "headers": _headers()},
    }


def operations(app: Quart) -> Iterator[tuple[Any, str, Operation]]:
    """Every route: its rule, its verb, its operation. HEAD comes with each GET and is not told apart."""
    for rule in app.url_map.iter_rules():
        operation = vars(app.view_functions[rule.endpoint])["operation"]
        yield from ((rule, verb, operation) for verb in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))


def _operation(operation: Operation) -> Json:
    parameters = [_path_parameter(name, meant) for name, meant in operation.ids.items()]
    parameters += [_query_parameter(query) for query in operation.query]
    told: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [*parameters, *_header_parameters()],
        "responses": {str(operation.success): _success(operation), **_failures(operation)},
    }
    if operation.description:
        told["description"] = operation.description
    if operation.body:
        told["requestBody"] = {"required": True, "content": {"application/json": _media(operation.body)}}
    return told


def _path_parameter(name: str, meant: str) -> Json:
    whose = meant.removesuffix("_id")
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": f"The {whose}'s id; errors name it `{meant}`.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_ID},
        "example": {"patient_id": 7, "record_id": 12}.get(meant, 41),
    }


def _query_parameter(query: Query) -> Json:
    return {"name": query.name, "in": "query", "description": query.description, "schema": dict(query.schema)}


def _header_parameters() -> list[Json]:
    seconds = {"type": "string", "pattern": f"^(?=.*[1-9]){SECONDS.pattern}$"}
    return [
        {
            "name": "Request-Id",
            "in": "header",
            "description": "Your name for the request: 1 to 64 of A–Z a–z 0–9 . _ -. Another is replaced by a new one.",
            "schema": {"type": "string"},
            "example": "visit-0831",
        },
        {
            "name": "Request-Timeout",
            "in": "header",
            "description": "Seconds after which an answer is of no use to you; at most what the gateway grants.",
            "schema": seconds,
            "example": "1.5",
        },
    ]


def _success(operation: Operation) -> Json:
    told: Json = {"description": operation.summary, "headers": _carried("Request-Id")}
    if operation.success == 201:  # noqa: PLR2004
        told["description"] = "Written"
        told["headers"] |= _carried("Location")
    if operation.success == 204:  # noqa: PLR2004
        return told | {"description": "Done"}
    media = _media(operation.answer) if operation.answer else {"schema": _bare(operation)}
    return told | {"content": {operation.media_type: media}} | ({"links": operation.links} if operation.links else {})


def _bare(operation: Operation) -> Json:
    return {"type": "object" if operation.media_type == "application/json" else "string"}


def _failures(operation: Operation) -> Json:
    by_status: dict[int, list[Kind]] = {}
    for kind in operation.problems():
        by_status.setdefault(kind.status, []).append(kind)
    return {str(status): _failure(kinds) for status, kinds in by_status.items()}


def _failure(kinds: list[Kind]) -> Json:
    status, headers = kinds[0].status, ["Request-Id"]
    headers += ["Retry-After"] if status in (429, 503) else []
    headers += ["Location"] if any(kind.slug == "exists" for kind in kinds) else []
    examples = {kind.slug: {"summary": kind.title, "value": _problem(kind)} for kind in kinds}
    schema = {"$ref": "#/components/schemas/" + ("InvalidProblem" if status in (400, 422) else "Problem")}
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "headers": _carried(*headers),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


def _problem(kind: Kind) -> Json:
    told: Json = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": kind.detail}
    told |= {"instance": "urn:caremesh:request:visit-0831", "request_id": "visit-0831"}
    told["trace_id"] = "4bf92f3577b34da6a3ce929d0e0e4736"
    if kind.status in (400, 422):
        told["errors"] = [{"field": "date", "message": "must be a day that exists, as YYYY-MM-DD"}]
    return told


def _media(model: type[BaseModel]) -> Json:
    extra: Any = model.model_config.get("json_schema_extra") or {}
    examples = extra.get("examples", [])
    named = {"examples": {"typical": {"value": examples[0]}}} if examples else {}
    return {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, **named}


def _schemas(operations: list[Operation], kinds: list[Kind]) -> Json:
    models = {model for operation in operations for model in (operation.body, operation.answer) if model}
    wanted = [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)]
    _, found = models_json_schema(wanted, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return {**{name: _untitled(schema) for name, schema in found["$defs"].items()}, **_problem_schemas(kinds)}


def _untitled(schema: Any) -> Any:
    """Without the titles that pydantic makes of field names: they say nothing more."""
    if isinstance(schema, list):
        return [_untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: ({key: _untitled(item) for key, item in value.items()} if name == "properties" else _untitled(value))
        for name, value in schema.items()
        if name != "title" or not isinstance(value, str)
    }


def _problem_schemas(kinds: list[Kind]) -> Json:
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
    problem: Json = {"type": "object", "properties": properties, "required": list(properties)}
    item: Json = {"type": "object", "properties": {"field": text, "message": text}, "required": ["field", "message"]}
    errors = {"type": "array", "items": item, "description": "Every field that is wrong, and what it must be."}
    return {
        "Problem": problem,
        "InvalidProblem": {
            **problem,
            "properties": {**properties, "errors": errors},
            "required": [*properties, "errors"],
        },
    }


def _headers() -> Json:
    return {"Request-Id": REQUEST_ID, "Retry-After": RETRY_AFTER, "Location": LOCATION}


def _carried(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
