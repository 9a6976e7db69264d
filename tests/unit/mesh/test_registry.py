"""Leases, on a clock turned by hand."""

import asyncio
from itertools import count

import pytest

from mesh.errors import Violation
from mesh.registry import RegistryService
from mesh.server import StatusError
from mesh.status import Status
from mesh.testing import TurnedClock, settle
from mesh.wire.mesh.registry import v1 as pb


def registry() -> tuple[RegistryService, TurnedClock]:
    clock, ids = TurnedClock(), count(1)
    return RegistryService(ttl=3.0, clock=clock, new_id=lambda: f"lease-{next(ids)}"), clock


def info(port: int = 1, service: str = "echo", address: str = "127.0.0.1") -> pb.ServiceRegistrationInfo:
    return pb.ServiceRegistrationInfo(service_name=service, ip_address=address, port=port)


async def now(service: RegistryService, name: str = "echo") -> list[int]:
    watched = service.watch(pb.WatchRequest(service_name=name))
    first = await anext(watched)
    await watched.aclose()  # type: ignore[attr-defined]  # an async generator, whatever the generated base says
    return [endpoint.port for endpoint in first.endpoints]


async def withdrawn(service: RegistryService) -> list[int]:
    watched = service.watch(pb.WatchRequest(service_name="echo"))
    first = await anext(watched)
    await watched.aclose()  # type: ignore[attr-defined]  # as above
    return [endpoint.port for endpoint in first.withdrawn]


async def test_a_lease_ends_unless_it_is_renewed() -> None:
    """Nobody is sent to a replica that died without a word."""
    service, clock = registry()
    kept, lost = await service.register(info(1)), await service.register(info(2))
    for _ in range(4):
        await clock.turn(1)
        await service.renew(kept)
    assert await now(service) == [1]
    with pytest.raises(StatusError) as caught:
        await service.renew(lost)
    assert caught.value.status is Status.NOT_FOUND


async def test_announcing_the_same_address_again_replaces_its_lease() -> None:
    """A restarted replica is listed once."""
    service, _ = registry()
    old = await service.register(info(1))
    await service.register(info(1))
    assert await now(service) == [1]
    await service.deregister(old)
    assert await now(service) == [1], "the old lease has no say any more"


async def test_withdrawing_is_at_once_and_harmless_when_repeated() -> None:
    """A stopping replica may ask twice."""
    service, _ = registry()
    lease = await service.register(info(1))
    await service.deregister(lease)
    await service.deregister(lease)
    assert await now(service) == []


async def test_who_withdrew_is_named_for_a_while_and_who_only_lapsed_is_not() -> None:
    """Callers leave the first at once, and ask the second whether it is still at work."""
    service, clock = registry()
    await service.register(info(1))
    leaving = await service.register(info(2))
    await service.register(info(3, "other"))
    await service.deregister(leaving)
    await clock.turn(3)
    assert await withdrawn(service) == [2]
    await clock.turn(26.9)
    assert await withdrawn(service) == [2]
    await clock.turn(0.2)
    assert await withdrawn(service) == []


async def test_who_comes_back_is_withdrawn_no_more() -> None:
    """A restarted replica has the address of the one that left."""
    service, _ = registry()
    await service.deregister(await service.register(info(1)))
    await service.register(info(1))
    assert (await now(service), await withdrawn(service)) == ([1], [])


async def test_a_watcher_is_told_of_every_change_of_its_service_and_of_silence() -> None:
    """Changes reach callers at once; the repeated list tells a quiet registry from a dead one."""
    service, clock = registry()
    told: list[list[int]] = []

    async def listen() -> None:
        async for listed in service.watch(pb.WatchRequest(service_name="echo")):
            told.append([endpoint.port for endpoint in listed.endpoints])  # noqa: PERF401  # read while it grows

    listening = asyncio.ensure_future(listen())
    await settle()
    lease = await service.register(info(1))
    await settle()
    await service.deregister(lease)
    await settle()
    assert told == [[], [1], []]
    await clock.turn(3)
    assert told == [[], [1], [], []]
    await service.register(info(2))
    await clock.turn(2.9)
    assert told[4:] == [[2]]
    await clock.turn(0.2)
    assert told[5:] == [[]], "a lapsed lease is a change"
    listening.cancel()
    await settle()


async def test_other_services_are_not_listed() -> None:
    """A records client must never be sent to prescriptions."""
    service, _ = registry()
    await service.register(info(1, "echo"))
    await service.register(info(2, "other"))
    assert (await now(service, "echo"), await now(service, "other")) == ([1], [2])


async def test_what_cannot_be_an_endpoint_is_refused_with_every_field_named() -> None:
    """The registry is open to every process of the machine."""
    service, _ = registry()
    with pytest.raises(StatusError) as caught:
        await service.register(info(70000, "", "not an address"))
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert [violation.field for violation in caught.value.violations] == ["service_name", "ip_address", "port"]
    assert isinstance(caught.value.violations[0], Violation)
