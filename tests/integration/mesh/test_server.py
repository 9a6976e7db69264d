"""The answering side over real sockets."""

import asyncio
from typing import NoReturn

import pytest
from grpclib.encoding.proto import ProtoCodec

from mesh.call import Call, Level, Method
from mesh.clock import SystemClock
from mesh.errors import RemoteError, Unreadable
from mesh.events import ServerEnded
from mesh.server import Health
from mesh.server.health import HealthService
from mesh.status import Status
from mesh.transport import Transport
from mesh.wire.grpc.health import v1 as health_pb
from tests.fakes.mesh import Recorded
from tests.integration.mesh.conftest import To
from tests.integration.mesh.echo import PATH, call, serving

CHECK = Method(
    "/grpc.health.v1.Health/Check",
    health_pb.HealthCheckRequest,
    health_pb.HealthCheckResponse,
    Level.NO_SIDE_EFFECTS,
)
Serving = health_pb.HealthCheckResponseServingStatus


async def test_a_method_that_trips_over_something_cancelled_within_it_is_answered(to: To) -> None:
    """Its caller would wait until its deadline, or for ever."""
    events = Recorded()
    async with serving(events=events) as (server, _, _):
        with pytest.raises(RemoteError) as caught:
            await to(server.address)(call("cancelled", timeout=20.0))
    (ended,) = events.of(ServerEnded)
    assert (caught.value.status, ended.status) == (Status.INTERNAL, "INTERNAL")
    assert ended.failure is not None
    assert ended.failure.startswith("CancelledError at ")


async def test_an_exception_tells_the_caller_nothing_and_the_listener_its_type_and_place(to: To) -> None:
    """Exception texts hold what clients sent."""
    events = Recorded()
    async with serving(events=events) as (server, _, _):
        transport = to(server.address)
        with pytest.raises(RemoteError) as caught:
            await transport(call("bug"))
    assert (caught.value.status, "Nov" in str(caught.value)) == (Status.INTERNAL, False)
    (ended,) = events.of(ServerEnded)
    assert ended.status == "INTERNAL"
    assert ended.failure is not None
    assert ended.failure.startswith("RuntimeError at echo.py:")
    assert "Nov" not in repr(ended)


async def test_what_is_in_flight_is_answered_before_the_server_closes(to: To) -> None:
    """A stopped replica loses nobody's answer."""
    async with serving(grace=5) as (server, echo, health):
        transport = to(server.address)
        waiting = asyncio.ensure_future(transport(call("wait")))
        await echo.arrived.wait()
        asyncio.get_running_loop().call_later(0.05, echo.go_on.set)
    assert (await waiting).message.lease_id == "wait"
    assert health.serving is False


async def test_after_the_grace_what_still_runs_is_cut_off(to: To) -> None:
    """A stop has an end."""
    async with serving(grace=0.01) as (server, echo, _):
        transport = to(server.address)
        waiting = asyncio.ensure_future(transport(call("wait")))
        await echo.arrived.wait()
    assert echo.cancelled == 1
    with pytest.raises(Exception, match="broke"):
        await waiting


async def test_the_deadline_that_travelled_ends_the_work(to: To) -> None:
    """Work past its deadline is for nobody."""
    events = Recorded()
    async with serving(events=events) as (server, echo, _):
        transport = to(server.address)
        with pytest.raises(RemoteError) as caught:
            await transport(call("wait", timeout=0.05))
        assert caught.value.status is Status.DEADLINE_EXCEEDED
        assert echo.cancelled == 1
    assert [event.status for event in events.of(ServerEnded)] == ["DEADLINE_EXCEEDED"]


async def test_bytes_that_are_no_message_are_refused_without_reaching_the_service(to: To) -> None:
    """The far side's bytes are input."""

    class Strict(ProtoCodec):
        def decode(self, data: bytes, message_type: object) -> NoReturn:
            raise Unreadable("the message ends too early")

    async with serving(codec=Strict()) as (server, echo, _):
        transport = to(server.address)
        with pytest.raises(RemoteError) as caught:
            await transport(call("x"))
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert echo.handled == []


async def test_a_method_that_is_not_there_is_unimplemented(to: To) -> None:
    """An older replica answers a newer caller."""
    async with serving() as (server, _, _):
        transport = to(server.address)
        method = Method(PATH + "Nope", health_pb.HealthCheckRequest, health_pb.HealthCheckResponse, Level.UNKNOWN)
        with pytest.raises(RemoteError) as caught:
            await transport(
                Call(method=method, message=health_pb.HealthCheckRequest(), timeout=1, deadline=SystemClock().now() + 1)
            )
    assert caught.value.status is Status.UNIMPLEMENTED


async def ask_health(transport: Transport, service: str) -> health_pb.HealthCheckResponseServingStatus:
    message = health_pb.HealthCheckRequest(service=service)
    reply = await transport(Call(method=CHECK, message=message, timeout=5, deadline=SystemClock().now() + 5))
    return reply.message.status  # type: ignore[no-any-return]


async def test_health_follows_the_state_for_the_server_and_for_each_service(to: To) -> None:
    """Probes decide who is called."""
    async with serving() as (server, _, health):
        transport = to(server.address)
        for serving_now, answer in [(True, Serving.SERVING), (False, Serving.NOT_SERVING), (True, Serving.SERVING)]:
            health.set_serving(serving_now)
            for name in ("", "mesh.registry.v1.ServiceRegistry"):
                assert await ask_health(transport, name) == answer
        with pytest.raises(RemoteError) as caught:
            await ask_health(transport, "no.such.Service")
        assert caught.value.status is Status.NOT_FOUND


async def test_a_watch_tells_the_state_now_and_each_change() -> None:
    """Kubernetes and grpc clients watch instead of asking."""
    health = Health()
    watched = HealthService(health, frozenset({"s"})).watch(health_pb.HealthCheckRequest(service="s"))
    seen = [(await anext(watched)).status]
    for serving_now in (False, True):
        health.set_serving(serving_now)
        seen.append((await anext(watched)).status)
    assert seen == [Serving.SERVING, Serving.NOT_SERVING, Serving.SERVING]
    unknown = HealthService(health, frozenset({"s"})).watch(health_pb.HealthCheckRequest(service="other"))
    assert (await anext(unknown)).status == Serving.SERVICE_UNKNOWN
