"""The Quart app: blueprints in, every failure out as a problem, the framework's own included."""

import logging
from collections.abc import Iterable
from functools import partial

from quart import Blueprint, Quart, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from gateway.http import problems as kinds
from gateway.http.exchange import exchange_of
from gateway.http.limits import BODY
from gateway.http.problems import MEDIA_TYPE, Kind, Problem, problem_of
from mesh.errors import MeshError
from mesh.events import whence
from observability.stories import Stories

log = logging.getLogger("gateway")

FRAMEWORK: dict[int | None, Kind] = {
    400: kinds.INVALID,
    404: kinds.NOT_FOUND,
    405: kinds.METHOD,
    408: kinds.TIMEOUT,
    413: kinds.TOO_LARGE,
    414: kinds.TARGET_TOO_LONG,
    415: kinds.MEDIA,
    431: kinds.HEADERS_TOO_LARGE,
}
"""What Quart and werkzeug raise by themselves."""


def create_app(blueprints: Iterable[Blueprint], stories: Stories) -> Quart:
    """An app with these routes and no others: no static files, no redirects, no debugger.

    Of a call that failed, the answer tells what `stories` knows of it.
    """
    app = Quart("gateway", static_folder=None, template_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=BODY, PROPAGATE_EXCEPTIONS=False, RESPONSE_TIMEOUT=10)
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(MeshError, partial(_mesh_error, stories))
    app.register_error_handler(HTTPException, _framework_error)
    app.register_error_handler(Exception, _defect)
    return app


async def _problem(problem: Problem) -> Response:
    exchange = exchange_of(request.scope)
    return Response(problem.body(exchange), problem.kind.status, dict(problem.headers), content_type=MEDIA_TYPE)


async def _mesh_error(stories: Stories, error: MeshError) -> Response:
    story = stories.last_call(exchange_of(request.scope).request_id)
    return await _problem(problem_of(error, write=request.method not in ("GET", "HEAD"), story=story))


async def _framework_error(error: HTTPException) -> Response:
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return await _problem(Problem(FRAMEWORK.get(error.code, kinds.INTERNAL), headers=headers))


async def _defect(error: Exception) -> Response:
    # By type and place: an exception's text may hold what a client sent.
    fields = {"request_id": exchange_of(request.scope).request_id}
    log.error("a request failed: %s", whence(error), extra={"fields": fields})
    return await _problem(Problem(kinds.INTERNAL))
