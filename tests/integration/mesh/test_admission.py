"""What a server takes on and what it refuses, over real sockets."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from mesh.admission import Admission
from mesh.call import PRIORITY
from mesh.client import ServiceClient
from mesh.endpoints import Static
from mesh.errors import OVERLOADED, RemoteError
from mesh.events import Retried, ServerStarted, Shed, WouldHave
from mesh.policy import AdmissionPolicy
from mesh.server import Server
from mesh.status import Status
from mesh.wire.grpc.health import v1 as health_pb
from mesh.wire.mesh.registry import v1 as pb
from tests.fakes.mesh import Recorded
from tests.fakes.waiting import until
from tests.integration.mesh.conftest import To
from tests.integration.mesh.echo import METHODS, call, serving
from tests.integration.mesh.test_server import CHECK

ONE = AdmissionPolicy(first=1, least=1, most=1, patience=0.05)
PATIENT = replace(ONE, patience=30.0, hurried=30.0)


def admitting(server: Server) -> Admission:
    assert server.admission is not None
    return server.admission


async def test_a_call_too_many_is_refused_before_it_is_read_and_probes_pass(to: To) -> None:
    """A refusal that costs as much as an answer helps nobody; a probe that is refused takes a busy replica away."""
    events = Recorded()
    async with serving(events=events, admission=ONE) as (server, echo, _):
        transport = to(server.address)
        first = asyncio.ensure_future(transport(call("wait")))
        await echo.arrived.wait()
        with pytest.raises(RemoteError) as caught:
            await transport(call("too many", request_id="r1", metadata={"request-id": "r1"}))
        assert (caught.value.status, caught.value.code) == (Status.UNAVAILABLE, OVERLOADED)
        assert caught.value.pushback is not None
        assert ONE.retry_after <= caught.value.pushback <= 1.25 * ONE.retry_after
        await transport(call("", method=CHECK)._replace(message=health_pb.HealthCheckRequest()))
        echo.go_on.set()
        await first
        await transport(call("room again"))
    assert echo.handled == ["wait", "room again"]
    (shed,) = events.of(Shed)
    assert (shed.request_id, shed.priority, shed.reason) == ("r1", "normal", "waited_too_long")
    assert (shed.in_flight, shed.limit) == (1, 1)


async def test_work_that_expires_while_it_waits_is_not_started(to: To) -> None:
    """Nobody would read its answer."""
    events = Recorded()
    async with serving(events=events, admission=PATIENT) as (server, echo, _):
        transport = to(server.address)
        first = asyncio.ensure_future(transport(call("wait")))
        await echo.arrived.wait()
        admission = admitting(server)
        late = asyncio.ensure_future(transport(call("late", timeout=0.5)))
        await until(lambda: admission.waiting == 1)
        second = asyncio.ensure_future(transport(call("in time", timeout=60)))
        await until(lambda: admission.waiting == 2)
        await asyncio.sleep(0.6)
        echo.go_on.set()
        await asyncio.wait({first, second})
        with pytest.raises(RemoteError):
            await late
    assert echo.handled == ["wait", "in time"]
    assert "expired_waiting" in {shed.reason for shed in events.of(Shed)}


async def test_work_whose_caller_goes_while_it_waits_leaves_its_place(to: To) -> None:
    """And it takes no permit along that nobody gives back."""
    async with serving(admission=PATIENT) as (server, echo, _):
        transport = to(server.address)
        first = asyncio.ensure_future(transport(call("wait")))
        await echo.arrived.wait()
        admission = admitting(server)
        gone = asyncio.ensure_future(transport(call("gone")))
        await until(lambda: admission.waiting == 1)
        gone.cancel()
        await until(lambda: admission.waiting == 0)
        echo.go_on.set()
        await first
        await transport(call("next"))
        await until(lambda: admission.in_flight == 0)
    assert echo.handled == ["wait", "next"]


async def test_writes_go_before_reads_by_what_their_callers_say(to: To) -> None:
    """The server cannot know what a method is worth; the policy of whoever calls says it."""
    async with serving(admission=PATIENT) as (server, echo, _):
        transport = to(server.address)
        admission = admitting(server)
        calls = [asyncio.ensure_future(transport(call("wait", timeout=60)))]
        await echo.arrived.wait()
        for word, priority in (("bulk", "low"), ("read", "normal"), ("odd", "first!"), ("write", "high")):
            calls.append(asyncio.ensure_future(transport(call(word, metadata={PRIORITY: priority}, timeout=60))))
            await until(lambda: admission.waiting == len(calls) - 1)
        echo.go_on.set()
        await asyncio.gather(*calls)
    assert echo.handled == ["wait", "write", "read", "odd", "bulk"]


async def test_who_is_refused_by_one_is_asked_for_at_another_at_once() -> None:
    """That one replica has too much to do says nothing of the others."""
    events = Recorded()
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(admission=ONE)) for _ in range(2)]
        addresses = [server.address for server, _, _ in servers]
        client = ServiceClient("echo", methods=METHODS, source=Static(addresses), events=events)
        await stack.enter_async_context(client)
        await until(lambda: len(client.endpoints()) == 2)
        await client.ready()
        held = asyncio.ensure_future(client.call("Say", pb.Lease(lease_id="wait"), timeout=5))
        await until(lambda: any(echo.arrived.is_set() for _, echo, _ in servers))
        for _ in range(10):
            await client.call("Do", pb.Lease(lease_id="write"), timeout=5)  # without a key; it was never begun with
        for _, echo, _ in servers:
            echo.go_on.set()
        await held
    assert {event.delay for event in events.of(Retried)} <= {0.0}


async def test_in_shadow_everything_is_let_in_and_what_would_have_been_refused_is_told(to: To) -> None:
    """A figure is tried out on real traffic before it may turn anybody away."""
    events = Recorded()
    async with serving(events=events, admission=replace(ONE, mode="shadow")) as (server, echo, _):
        transport = to(server.address)
        first = asyncio.ensure_future(transport(call("wait")))
        await echo.arrived.wait()
        await transport(call("one more"))
        echo.go_on.set()
        await first
    (would,) = events.of(WouldHave)
    assert (would.policy, would.reason) == ("admission", "no_room")
    assert len(events.of(ServerStarted)) == 2
