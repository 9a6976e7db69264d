"""The OpenAPI 3.1 document, walked from the url_map and the schemas: it cannot forget a route."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from quart import Quart

from gateway.http import headers, problem_docs
from gateway.http.conditions import NONE_MATCH
from gateway.http.limits import MAX_ID
from gateway.http.operations import Operation, template
from gateway.http.parameters import Query
from gateway.http.problems import Kind
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

Every version of a thing is kept. Its `ETag` names the version: send it as `If-Match` with a PUT or DELETE, and nobody's
change in between is overwritten (412); as `If-None-Match` with a GET, and what you have is not sent again (304).

Send an `Idempotency-Key` of your own with each POST, PUT and DELETE, and repeat the request with it whenever you are in
doubt, after a lost connection or a 504: it is done once, and each repetition gets the first answer. A request without
one is given a key by the gateway; the answer's `Idempotency-Key` tells it, and a 504 has it as `idempotency_key` too.
"""


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
        "components": {
            "schemas": _schemas([operation for *_, operation in routes], kinds),
            "headers": headers.ANSWERED,
        },
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
        "parameters": [*parameters, *headers.taken(operation)],
        "responses": {
            str(operation.success): _success(operation),
            **_unchanged(operation),
            **problem_docs.failures(operation),
        },
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


def _success(operation: Operation) -> Json:
    told: Json = {"description": operation.summary, "headers": headers.given(operation)}
    if operation.success == 201:  # noqa: PLR2004
        told["description"] = "Written"
    if operation.success == 204:  # noqa: PLR2004
        return told | {"description": "Done"}
    media = _media(operation.answer) if operation.answer else {"schema": _bare(operation)}
    return told | {"content": {operation.media_type: media}} | ({"links": operation.links} if operation.links else {})


def _unchanged(operation: Operation) -> Json:
    if operation.condition != NONE_MATCH:
        return {}
    return {
        "304": {
            "description": "You have it already",
            "headers": headers.carried("Request-Id", "ETag", "Server-Timing", "Cache-Status", "Age"),
        }
    }


def _bare(operation: Operation) -> Json:
    return {"type": "object" if operation.media_type == "application/json" else "string"}


def _media(model: type[BaseModel]) -> Json:
    extra: Any = model.model_config.get("json_schema_extra") or {}
    examples = extra.get("examples", [])
    named = {"examples": {"typical": {"value": examples[0]}}} if examples else {}
    return {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, **named}


def _schemas(operations: list[Operation], kinds: list[Kind]) -> Json:
    models = {model for operation in operations for model in (operation.body, operation.answer) if model}
    wanted = [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)]
    _, found = models_json_schema(wanted, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return {**{name: _untitled(schema) for name, schema in found["$defs"].items()}, **problem_docs.schemas(kinds)}


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
