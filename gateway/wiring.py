"""Puts the gateway together out of its settings: upstreams, app, edge, server."""

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from random import SystemRandom
from typing import Any

from gateway.http.admitted import Admitted
from gateway.http.app import create_app
from gateway.http.cors import Cors
from gateway.http.edge import App, Edge
from gateway.http.ready import Ready
from gateway.http.server import Ending, listen, serve
from gateway.policies import GATEWAY, policies, takes_on
from gateway.routes import control, prescriptions, records
from gateway.settings import BY_NAME, GatewaySettings
from gateway.upstreams import PrescriptionsClient, RecordsClient, Service
from mesh.admission import Admission
from mesh.batch import batches_of
from mesh.cache import Store
from mesh.call import Service as Generated
from mesh.call import methods_of
from mesh.client import ServiceClient
from mesh.clock import Clock, SystemClock
from mesh.endpoints import Dns, Leases, Source, Static
from mesh.events import Event, Events
from mesh.policy.table import warnings
from observability.http import Traced
from observability.setup import setup
from observability.stories import Stories
from observability.tracing import Tracing
from process.control import ControlPort
from process.listening import listed
from process.run import Stop
from protos.codec import Codec
from protos.generated.caremesh import v1 as pb
from protos.generated.levels import LEVELS

LAST = 1.0  # seconds beyond a request's longest time until its connection is closed

log = logging.getLogger("gateway")


async def run(settings: GatewaySettings, stop: Stop) -> None:
    """Serves until `stop` is set.

    Raises:
        OSError: the port cannot be had.
    """
    events, clock, stories = Events(), SystemClock(), Stories()
    events.subscribe(stories)
    observing = setup(
        process=settings.process,
        service="gateway",
        events=events,
        log_level=settings.log_level,
        log_format=settings.log_format,
        otlp_endpoint=settings.otlp_endpoint,
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(observing)
        control_port = ControlPort(settings.control_port, settings.control_token)
        observing.steered_by(control_port)
        control_port.on("GET", "/stories", stories.asked)
        stop.steered_by(control_port)
        await stack.enter_async_context(control_port)
        listener = listen(settings.host, settings.port)
        stack.callback(listener.close)
        for warning in warnings(policies(settings.policy)):
            log.warning("%s: %s", settings.policy, warning)
        of_records = await stack.enter_async_context(_client("records", pb.PatientRecordsServiceBase, settings, events))
        of_prescriptions = await stack.enter_async_context(
            _client("prescriptions", pb.PrescriptionManagementServiceBase, settings, events)
        )
        own = Admission(GATEWAY, takes_on(settings.policy), clock=clock, rng=SystemRandom(), events=events)
        await stack.enter_async_context(own)
        app = build(of_records, of_prescriptions, settings, clock, observing.tracing, stop.is_set, stories, own)
        log.info("listening on http://%s:%d", settings.host, listener.getsockname()[1])
        times = Ending(settings.drain_notice, settings.request_timeout + LAST)
        await serve(app, listener, connections=settings.max_connections, stop=stop, ending=times)


def build(
    of_records: Service,
    of_prescriptions: Service,
    settings: GatewaySettings,
    clock: Clock,
    tracing: Tracing,
    draining: Callable[[], bool],
    stories: Stories,
    admission: Admission | None = None,
) -> App:
    """The ASGI application.

    Outermost first: traces, edge, CORS where origins are named, what is ready, admission, Quart.
    """
    required = settings.if_match_required
    app = create_app(
        (
            records.blueprint(RecordsClient(of_records, clock), clock, match_required=required),
            prescriptions.blueprint(PrescriptionsClient(of_prescriptions, clock), clock, match_required=required),
            control.blueprint((of_records, of_prescriptions), draining, clock),
        ),
        stories,
    )
    admitted = Admitted(app, admission) if admission else app
    return Traced(around(admitted, settings, clock, stories), tracing)


def around(app: Any, settings: GatewaySettings, clock: Clock, tell: Callable[[Event], None]) -> App:
    """The app with what lies between it and the traces."""
    origins = listed(settings.cors_origins)
    ready = Ready(app, settings.memory // 2) if settings.memory else app
    inner = Cors(ready, origins) if origins else ready
    hosts = listed(settings.allowed_hosts)
    return Edge(inner, hosts=hosts, longest=settings.request_timeout, clock=clock, tell=tell)


def _client(name: str, service: type[Generated], settings: GatewaySettings, events: Events) -> ServiceClient:
    where = source(getattr(settings, name), settings.registries)
    return ServiceClient(
        name,
        methods=methods_of(service, LEVELS),
        source=where,
        events=events,
        codec=Codec(),
        policy=policies(settings.policy)[name],
        memory=settings.memory // 4,  # of two services, and as much again for the pages made of them
        store=_store(name, settings),
        batches=batches_of(service),
    )


def _store(name: str, settings: GatewaySettings) -> Store | None:
    if not settings.redis:
        return None
    from mesh.cache.redis import RedisStore  # it takes a while, and is not needed otherwise

    return RedisStore(settings.redis, f"caremesh:{name}")


def source(places: str, registries: str) -> Source:
    """Where a service is found, by the settings."""
    if places.startswith(BY_NAME):
        return Dns(places.removeprefix(BY_NAME))
    return Static(listed(places)) if places else Leases(listed(registries))
