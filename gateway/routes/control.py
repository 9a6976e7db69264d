"""Probes, the OpenAPI document and the page that shows it."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NoReturn

import orjson
from pydantic import ConfigDict
from quart import Blueprint, Response, current_app

from gateway.auth import Access
from gateway.http import openapi
from gateway.http import problems as kinds
from gateway.http.docs import page
from gateway.http.operations import Asked, Operation, add
from gateway.http.problems import Problem
from gateway.schemas import Answer
from gateway.upstreams import Watched
from mesh.clock import Clock
from mesh.endpoints import EndpointState
from mesh.version import __version__


class Alive(Answer):
    """The process runs."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "alive"}]})
    state: Literal["alive"]


class Ready(Answer):
    """The process can serve."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "ready"}]})
    state: Literal["ready"]


class EndpointHealth(Answer):
    """An endpoint as this gateway sees it; another gateway may see it otherwise.

    `ejection` compares it with the others; `weight` is the share that it takes of the calls that would be its own;
    `latency_ms` is the highest of late, fading.
    """

    address: str
    available: bool
    probe: Literal["serving", "not_serving", "unreachable", "not yet probed"]
    breaker: Literal["closed", "open", "half-open"]
    breaker_reason: str
    ejection: Literal["in rotation", "lowered", "ejected"]
    ejection_reason: str
    weight: float
    in_flight: int
    latency_ms: float | None


class ServiceHealth(Answer):
    """A service and everyone who is known to serve it."""

    service: str
    state: Literal["up", "degraded", "down"]
    endpoints: tuple[EndpointHealth, ...]


class Health(Answer):
    """Every service and endpoint. "degraded": some endpoint is not available, every service is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "state": "up",
                    "version": __version__,
                    "services": [
                        {
                            "service": "records",
                            "state": "up",
                            "endpoints": [
                                {
                                    "address": "127.0.0.1:50051",
                                    "available": True,
                                    "probe": "serving",
                                    "breaker": "closed",
                                    "breaker_reason": "new",
                                    "ejection": "in rotation",
                                    "ejection_reason": "new",
                                    "weight": 1.0,
                                    "in_flight": 0,
                                    "latency_ms": 2.4,
                                }
                            ],
                        }
                    ],
                }
            ]
        }
    )
    state: Literal["up", "degraded"]
    version: str
    services: tuple[ServiceHealth, ...]


class Control:
    """The handlers.

    Args:
        services: those whose endpoints are shown.
        draining: true once the process was told to end.
    """

    def __init__(self, services: Sequence[Watched], draining: Callable[[], bool]) -> None:
        self._services, self._draining = services, draining
        self._seen: set[str] = set()
        self._document = b""

    async def livez(self, _: Asked) -> Response:
        return _json({"state": "alive"})

    async def readyz(self, _: Asked) -> Response:
        """Ready once every service has been seen at work, and from then on while any of them is.

        A gateway that took itself away when one service is down would take the other one with it.
        """
        serving = {service.service for service in self._services if any(map(_serves, service.endpoints()))}
        self._seen |= serving
        if self._draining():
            _refuse("It is ending.")
        if not serving or len(self._seen) < len(self._services):
            missing = ", ".join(service.service for service in self._services if service.service not in serving)
            _refuse(f"Nobody serves {missing}.")
        return _json({"state": "ready"})

    async def health(self, _: Asked) -> Response:
        services = [_service(watched) for watched in self._services]
        states = {service["state"] for service in services}
        if "down" in states:
            down = ", ".join(str(service["service"]) for service in services if service["state"] == "down")
            _refuse(f"Nobody serves {down}.", version=__version__, services=services)
        state = "degraded" if "degraded" in states else "up"
        return _json({"state": state, "version": __version__, "services": services})

    async def document(self, _: Asked) -> Response:
        # Made when first asked for: most gateways never are.
        self._document = self._document or orjson.dumps(openapi.document(current_app))
        return Response(self._document, 200, {"Cache-Control": "no-cache"}, content_type="application/json")

    async def docs(self, _: Asked) -> Response:
        body, policy = page()
        headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
        return Response(body, 200, headers, content_type="text/html; charset=utf-8")


def blueprint(services: Sequence[Watched], draining: Callable[[], bool], clock: Clock) -> Blueprint:
    """The routes that need no principal."""
    made, control = Blueprint("control", __name__), Control(services, draining)
    of: dict[str, Any] = {"tag": "Control", "access": Access.ANYONE, "upstream": False}
    down: dict[str, Any] = {"failures": (kinds.UNAVAILABLE,)}
    for rule, handler, operation in (
        ("/livez", control.livez, Operation(name="livez", summary="Does the process run?", answer=Alive, **of)),
        ("/readyz", control.readyz, Operation(name="readyz", summary="Can it serve?", answer=Ready, **of, **down)),
        (
            "/health",
            control.health,
            Operation(name="health", summary="Every service and endpoint", answer=Health, **of, **down),
        ),
        ("/openapi.json", control.document, Operation(name="openapi", summary="This document", **of)),
        ("/docs", control.docs, Operation(name="docs", summary="A page to read", media_type="text/html", **of)),
    ):
        add(made, clock, "GET", rule, operation, handler)
    return made


def _serves(endpoint: EndpointState) -> bool:
    return endpoint.available and endpoint.probe == "serving"


def _service(watched: Watched) -> dict[str, Any]:
    endpoints = [endpoint._asdict() for endpoint in watched.endpoints()]
    available = [endpoint["available"] for endpoint in endpoints]
    state = "up" if available and all(available) else "degraded" if any(available) else "down"
    return {"service": watched.service, "state": state, "endpoints": endpoints}


def _refuse(detail: str, **members: Any) -> NoReturn:
    raise Problem(kinds.UNAVAILABLE, detail=detail, headers={"Retry-After": "1"}, members=members)


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), 200, {"Cache-Control": "no-store"}, content_type="application/json")
