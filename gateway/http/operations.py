"""What a route takes and gives, said once: the same words check a request, run it and document it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from quart import Blueprint, Response, request

from gateway.auth import Access, Principal, principal_of
from gateway.http import bodies, conditions, parameters
from gateway.http import problems as kinds
from gateway.http.cache_status import goes_past
from gateway.http.conditions import Condition
from gateway.http.exchange import Exchange, exchange_of
from gateway.http.parameters import Query
from gateway.http.problems import FieldError, Kind, Problem, invalid
from gateway.http.proxy_status import told
from gateway.schemas import Body
from mesh.clock import Clock
from observability.http import name_route

BACKSTOP = 1.0
"""Seconds that an operation may run over its deadline: the mesh ends a call in time, this ends the mesh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One verb of one path.

    Attributes:
        name: the OpenAPI operationId.
        ids: of each variable of the path, the name that errors use.
        body, answer: the schemas of what comes in and goes out.
        media_type: of the answer.
        success: the status when all went well.
        write: it changes something, once for each Idempotency-Key.
        match_required: it is refused without If-Match.
        upstream: it calls a service.
        failures: kinds of problem beyond those that follow from the rest.
        links: where an answer leads, as OpenAPI link objects by name.
    """

    name: str
    tag: str
    summary: str
    description: str = ""
    access: Access = Access.CLINIC
    ids: Mapping[str, str] = field(default_factory=dict)
    query: tuple[Query, ...] = ()
    body: type[Body] | None = None
    answer: type[BaseModel] | None = None
    media_type: str = "application/json"
    success: int = 200
    write: bool = False
    match_required: bool = False
    upstream: bool = True
    failures: tuple[Kind, ...] = ()
    links: Mapping[str, Any] = field(default_factory=dict)

    @property
    def condition(self) -> str:
        """The header by which a client may make it conditional, "" where there is none."""
        if not self.write:
            return conditions.NONE_MATCH if self.upstream else ""
        return conditions.MATCH if self.ids else ""

    def problems(self) -> tuple[Kind, ...]:
        """Every kind of problem that this can end in, by the table in `problems`."""
        found = [kinds.INVALID, kinds.TOO_LARGE, kinds.TARGET_TOO_LONG, kinds.MISDIRECTED, kinds.HEADERS_TOO_LARGE]
        found += [kinds.INTERNAL, kinds.OVERLOADED]
        if self.body:
            found += [kinds.TIMEOUT, kinds.MEDIA]
        if self.upstream:
            found += [kinds.NOT_FOUND, kinds.DELETED, kinds.CONFLICT, kinds.RATE, kinds.UNIMPLEMENTED]
            found += [kinds.UNAVAILABLE, kinds.LATE]
            found += [kinds.NO_ROOM, kinds.UNKNOWN_OUTCOME, kinds.KEY_REUSED] if self.write else []
        if self.condition == conditions.MATCH:
            found += [kinds.CHANGED, kinds.MATCH_NEEDED]
        return tuple(sorted({*found, *self.failures}, key=lambda kind: (kind.status, kind.slug)))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that has been read and found well-formed.

    Attributes:
        deadline: seconds of the clock by which the answer must be there.
        key: the Idempotency-Key of a write, "" of a read.
        condition: what `If-Match` of a write or `If-None-Match` of a read says, None where there is none.
        cached: may a read be answered by what is kept? `Cache-Control: no-cache` says no.
        exchange: is told how the answer was come by.
    """

    principal: Principal | None
    request_id: str
    deadline: float
    ids: Mapping[str, int]
    query: Mapping[str, Any]
    body: Any
    key: str
    condition: Condition | None
    cached: bool
    exchange: Exchange


Handler = Callable[[Asked], Awaitable[Response]]


def add(blueprint: Blueprint, clock: Clock, verb: str, rule: str, operation: Operation, handler: Handler) -> None:
    """Puts a route into a blueprint, with its operation to be found by whoever walks the url_map."""

    async def view(**raw: str) -> Response:
        exchange = exchange_of(request.scope)
        exchange.route = template(rule)
        name_route(exchange.route)
        asked = await _read(operation, exchange, clock, raw)
        exchange.key = asked.key
        try:
            async with asyncio.timeout(asked.deadline - clock.now() + BACKSTOP):
                return await handler(asked)
        except TimeoutError:
            why = {"Proxy-Status": told("http_response_timeout", "the call went on after its deadline and was cut off")}
            raise Problem(kinds.UNKNOWN_OUTCOME if operation.write else kinds.LATE, headers=why) from None

    vars(view)["operation"] = operation
    blueprint.add_url_rule(rule, operation.name, view, methods=[verb], provide_automatic_options=False)


def template(rule: str) -> str:
    """A werkzeug rule as OpenAPI, logs and spans name it."""
    return rule.replace("<", "{").replace(">", "}")


async def _read(operation: Operation, exchange: Exchange, clock: Clock, raw: Mapping[str, str]) -> Asked:
    """Reads all of a request, so that one answer names everything that is wrong with it."""
    getlist = request.headers.getlist
    principal = principal_of(operation.access)
    ids = {operation.ids[name]: parameters.read_id(operation.ids[name], text) for name, text in raw.items()}
    query, errors = parameters.read_query(operation.query, request.scope["query_string"])
    timeout = parameters.read_timeout(getlist("Request-Timeout"), exchange.longest)
    key = parameters.read_key(getlist("Idempotency-Key")) if operation.write else ""
    condition = conditions.read(operation.condition, getlist) if operation.upstream else None
    errors = [item for item in (*ids.values(), timeout, key, condition) if isinstance(item, FieldError)] + errors
    deadline = exchange.started + (exchange.longest if isinstance(timeout, FieldError) else timeout)
    body = None
    try:
        body = await _body(operation.body, deadline - clock.now()) if operation.body else None
    except Problem as problem:
        if not errors:
            raise
        # A bad id is a bad id whatever the body is; what is wrong inside the body is told beside it.
        errors += problem.errors
    if errors or isinstance(key, FieldError) or isinstance(condition, FieldError):
        raise invalid(*errors)
    if operation.match_required and condition is None:
        raise Problem(kinds.MATCH_NEEDED)
    numbers = {name: number for name, number in ids.items() if isinstance(number, int)}
    cached = not goes_past(getlist("Cache-Control"))
    return Asked(principal, exchange.request_id, deadline, numbers, query, body, key, condition, cached, exchange)


async def _body(schema: type[Body], seconds: float) -> Body:
    bodies.check_media_type(request.headers.getlist("Content-Type"), request.headers.get("Content-Encoding", ""))
    try:
        raw = await asyncio.wait_for(request.body, max(0.0, seconds))
    except TimeoutError:
        raise Problem(kinds.TIMEOUT, headers={"Connection": "close"}) from None
    return bodies.parse(schema, raw)
