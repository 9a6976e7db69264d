"""Registry, registration, pool and client together, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from mesh.client import ServiceClient
from mesh.endpoints import Leases, Static
from mesh.errors import MeshError, NoEndpoint
from mesh.events import EndpointsChanged, Events, RegistryChanged
from mesh.policy import Policy
from mesh.registry import Registration, RegistryService
from mesh.server import Health, Server
from mesh.testing import TurnedClock
from mesh.transport import split_address
from mesh.wire.mesh.registry import v1 as pb
from tests.fakes.mesh import Recorded
from tests.fakes.waiting import until
from tests.integration.mesh.echo import METHODS, Echo, serving

QUICK = Policy(probe_interval=0.1)


@asynccontextmanager
async def a_registry(port: int = 0) -> AsyncIterator[Server]:
    async with Server([RegistryService(ttl=3.0)], health=Health(), events=Events(), port=port, grace=0) as server:
        yield server


@asynccontextmanager
async def a_replica(*registries: str) -> AsyncIterator[tuple[Server, Echo, Health]]:
    async with serving() as (server, echo, health):
        registration = Registration(registries, service="echo", address=server.address, health=health, events=Events())
        async with registration:
            yield server, echo, health


def a_client(source: Leases | Static, events: Events | None = None) -> ServiceClient:
    return ServiceClient("echo", methods=METHODS, source=source, events=events or Events(), policy=QUICK)


def serving_now(client: ServiceClient) -> set[str]:
    return {state.address for state in client.endpoints() if state.probe == "serving"}


async def say(client: ServiceClient, word: str = "hello") -> str:
    reply = await client.call("Say", pb.Lease(lease_id=word), timeout=2.0)
    return reply.endpoint


async def test_a_client_says_when_it_can_be_used() -> None:
    """A program that starts would else call before anybody is known, and fail."""
    async with a_registry() as registry, a_client(Leases([registry.address])) as client:
        waiting = asyncio.create_task(client.ready())
        with pytest.raises(NoEndpoint):
            await say(client)
        assert not waiting.done()
        async with a_replica(registry.address):
            await asyncio.wait_for(waiting, 10)
            await asyncio.wait_for(client.ready(), 10)
            assert await say(client)


async def test_replicas_are_found_used_and_left_when_they_withdraw() -> None:
    """The life of a replica, from its first lease to its last call."""
    async with (
        a_registry() as registry,
        a_client(Leases([registry.address])) as client,
        a_replica(registry.address) as (one, _, _),
    ):
        async with a_replica(registry.address) as (two, _, _):
            await until(lambda: serving_now(client) == {one.address, two.address})
            assert {await say(client) for _ in range(40)} == {one.address, two.address}
        await until(lambda: len(client.endpoints()) == 1)
        assert {await say(client) for _ in range(20)} == {one.address}


async def test_no_call_fails_while_a_replica_stops() -> None:
    """A rolling restart is not an outage."""
    failures: list[MeshError] = []
    async with a_registry() as registry, a_client(Leases([registry.address])) as client, a_replica(registry.address):
        stack = AsyncExitStack()
        two, _, _ = await stack.enter_async_context(a_replica(registry.address))
        await until(lambda: two.address in serving_now(client))

        async def load() -> None:
            while True:
                try:
                    await say(client)
                except MeshError as error:
                    failures.append(error)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(load()) for _ in range(8)]
            await asyncio.sleep(0.1)
            await stack.aclose()
            await until(lambda: len(client.endpoints()) == 1)
            for task in tasks:
                task.cancel()
    assert failures == []


async def test_a_call_under_way_at_a_replica_that_withdraws_is_answered() -> None:
    """It leaves the list at once, and its connection when the last answer is there."""
    async with (
        a_registry() as registry,
        serving(grace=30) as (server, echo, health),
        a_client(Leases([registry.address])) as client,
    ):
        leaving = Registration(
            [registry.address], service="echo", address=server.address, health=health, events=Events()
        )
        async with leaving:
            await until(lambda: serving_now(client) == {server.address})
            calling = asyncio.create_task(client.call("Do", pb.Lease(lease_id="wait"), timeout=30))
            await echo.arrived.wait()
        await until(lambda: not client.endpoints())
        echo.go_on.set()
        assert (await calling).endpoint == server.address


async def test_a_registry_that_is_away_takes_nobody_away_and_one_that_forgot_learns_again() -> None:
    """The registry is no part of a call's way."""
    events = Recorded()
    async with AsyncExitStack() as stack:
        gone = AsyncExitStack()
        registry = await gone.enter_async_context(a_registry())
        client = await stack.enter_async_context(a_client(Leases([registry.address]), events))
        replica, _, _ = await stack.enter_async_context(a_replica(registry.address))
        await until(lambda: serving_now(client) == {replica.address})
        await gone.aclose()
        await until(lambda: any(not event.reachable for event in events.of(RegistryChanged)))
        assert await say(client) == replica.address
        # It comes back knowing nobody; the replica answers its probes and stays, and registers again.
        reborn = await stack.enter_async_context(a_registry(split_address(registry.address)[1]))
        await until(lambda: [event.reachable for event in events.of(RegistryChanged)].count(True) == 2)
        assert await say(client) == replica.address
        other = await stack.enter_async_context(a_client(Leases([reborn.address])))
        await until(lambda: serving_now(other) == {replica.address})
    assert [event.removed for event in events.of(EndpointsChanged) if event.removed] == []


@asynccontextmanager
async def leased(*addresses: str) -> AsyncIterator[tuple[str, RegistryService, TurnedClock, list[pb.Lease]]]:
    """A registry on a turned clock, with leases that nobody renews."""
    clock = TurnedClock()
    service = RegistryService(ttl=3.0, clock=clock)
    async with Server([service], health=Health(), events=Events(), grace=0) as server:
        places = [split_address(address) for address in addresses]
        infos = [pb.ServiceRegistrationInfo(service_name="echo", ip_address=host, port=port) for host, port in places]
        yield server.address, service, clock, [await service.register(info) for info in infos]


async def test_who_withdrew_leaves_at_once_though_it_would_still_answer() -> None:
    """Not at the next probe, and not when a probe has gone unanswered twice."""
    events = Recorded()
    async with (
        serving() as (one, _, _),
        serving() as (two, _, _),
        leased(one.address, two.address) as (registry, service, _, (_, lease)),
        ServiceClient(
            "echo", methods=METHODS, source=Leases([registry]), events=events, policy=Policy(probe_interval=1000)
        ) as client,
    ):
        await until(lambda: serving_now(client) == {one.address, two.address})
        await service.deregister(lease)
        await until(lambda: len(client.endpoints()) == 1)
        assert {await say(client) for _ in range(20)} == {one.address}
        await service.register(pb.ServiceRegistrationInfo("echo", *split_address(two.address)))
        await until(lambda: serving_now(client) == {one.address, two.address})
    assert [(event.removed, event.reason) for event in events.of(EndpointsChanged) if event.removed] == [
        ((two.address,), "withdrawn")
    ]


async def test_whose_lease_lapsed_stays_for_as_long_as_it_serves() -> None:
    """It may be cut off from the registry alone."""
    async with (
        serving() as (one, _, health),
        leased(one.address) as (registry, service, clock, _),
        a_client(Leases([registry])) as client,
    ):
        await until(lambda: serving_now(client) == {one.address})
        await clock.turn(4)
        assert service._leases == {}
        assert await say(client) == one.address
        health.set_serving(False)
        await until(lambda: client.endpoints() == [])


async def test_one_registry_that_saw_it_withdraw_does_not_overrule_one_where_it_is() -> None:
    """It came back while the first was out of its reach."""
    async with (
        serving() as (one, _, _),
        leased(one.address) as (first, service, _, (lease,)),
        leased(one.address) as (second, other, _, (still,)),
        a_client(Leases([first, second])) as client,
    ):
        await until(lambda: serving_now(client) == {one.address})
        await service.deregister(lease)
        await until(lambda: service._withdrawn)
        assert await say(client) == one.address
        await other.deregister(still)
        await until(lambda: client.endpoints() == [])


async def test_one_registry_that_is_away_does_not_overrule_one_that_saw_it_withdraw() -> None:
    """What it last said is older; the endpoint would stay for as long as the registry is away."""
    events = Recorded()
    async with AsyncExitStack() as stack:
        one, _, _ = await stack.enter_async_context(serving())
        first, service, _, (lease,) = await stack.enter_async_context(leased(one.address))
        gone = AsyncExitStack()
        second, _, _, _ = await gone.enter_async_context(leased(one.address))
        client = await stack.enter_async_context(a_client(Leases([first, second]), events))
        await until(lambda: len(events.of(RegistryChanged)) == 2)
        await gone.aclose()
        await until(lambda: [event.reachable for event in events.of(RegistryChanged)] == [True, True, False])
        assert await say(client) == one.address
        await service.deregister(lease)
        await until(lambda: client.endpoints() == [])
    assert [event.reason for event in events.of(EndpointsChanged) if event.removed] == ["withdrawn"]


async def test_with_two_registries_either_may_be_away() -> None:
    """The union of what they know is enough."""
    async with a_registry() as one, a_replica(one.address) as (replica, _, _):
        nobody = "127.0.0.1:1"
        async with a_client(Leases([nobody, one.address])) as client:
            await until(lambda: serving_now(client) == {replica.address})
            assert await say(client) == replica.address


async def test_a_replica_that_says_not_serving_is_not_called() -> None:
    """Probes take an ailing replica out before any call fails on it."""
    async with AsyncExitStack() as stack:
        one, _, _ = await stack.enter_async_context(serving())
        two, _, health = await stack.enter_async_context(serving())
        client = await stack.enter_async_context(a_client(Static([one.address, two.address])))
        await until(lambda: len(serving_now(client)) == 2)
        health.set_serving(False)
        await until(lambda: serving_now(client) == {one.address})
        assert {await say(client) for _ in range(20)} == {one.address}
        health.set_serving(True)
        await until(lambda: len(serving_now(client)) == 2)


async def test_with_nobody_there_the_call_is_rejected_and_says_when_to_come_again() -> None:
    """Nothing hangs, and nothing is said to be lost."""
    async with a_client(Static(["127.0.0.1:1"])) as client:
        await until(lambda: [state.probe for state in client.endpoints()] == ["unreachable"])
        with pytest.raises(NoEndpoint) as caught:
            await say(client)
        assert caught.value.retry_after is not None
        assert not caught.value.maybe_done
