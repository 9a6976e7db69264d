"""The registry: soft state in memory. A restarted registry learns everything again within one renewal."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from secrets import token_hex

from mesh.clock import Clock, SystemClock
from mesh.errors import Violation
from mesh.server.status import StatusError
from mesh.status import Status
from mesh.wire.google.protobuf import Empty
from mesh.wire.mesh.registry import v1 as pb

TTL = 3.0
REMEMBERED = 10  # leases' time for which it is told that an endpoint withdrew
MAX_NAME, MAX_METADATA, MAX_PORT, MAX_LEASES = 128, 1024, 65535, 10_000


Key = tuple[str, str, int]


@dataclass(slots=True)
class Kept:
    """One endpoint, and the moment until which it is kept."""

    info: pb.ServiceRegistrationInfo
    ends: float


class RegistryService(pb.ServiceRegistryBase):
    """`mesh.registry.v1.ServiceRegistry`.

    Args:
        ttl: seconds a lease lasts; watchers are sent the list as often even if nothing changed, so that
            they can tell a quiet registry from a dead one.
    """

    def __init__(
        self, *, ttl: float = TTL, clock: Clock | None = None, new_id: Callable[[], str] = lambda: token_hex(16)
    ) -> None:
        self._ttl, self._clock, self._new_id = ttl, clock or SystemClock(), new_id
        self._leases: dict[str, Kept] = {}
        self._withdrawn: dict[Key, Kept] = {}
        self._changed = asyncio.Event()

    async def register(self, message: pb.ServiceRegistrationInfo) -> pb.Lease:
        _check(message)
        self._lapse()
        for lease_id in [known for known, leased in self._leases.items() if _key(leased.info) == _key(message)]:
            del self._leases[lease_id]
        self._withdrawn.pop(_key(message), None)
        if len(self._leases) >= MAX_LEASES:
            raise StatusError(Status.RESOURCE_EXHAUSTED, f"{MAX_LEASES} endpoints are registered already")
        lease_id = self._new_id()
        self._leases[lease_id] = Kept(message, self._clock.now() + self._ttl)
        self._tell()
        return self._lease(lease_id)

    async def renew(self, message: pb.Lease) -> pb.Lease:
        self._lapse()
        leased = self._leases.get(message.lease_id)
        if leased is None:
            raise StatusError(Status.NOT_FOUND, "this lease is not known here; register again")
        leased.ends = self._clock.now() + self._ttl
        return self._lease(message.lease_id)

    async def deregister(self, message: pb.Lease) -> Empty:
        leased = self._leases.pop(message.lease_id, None)
        if leased is not None:
            self._withdrawn[_key(leased.info)] = Kept(leased.info, self._clock.now() + REMEMBERED * self._ttl)
            self._tell()
        return Empty()

    async def watch(self, message: pb.WatchRequest) -> AsyncIterator[pb.EndpointList]:
        while True:
            self._lapse()
            changed = self._changed  # taken before the list, so that no change is missed
            service = message.service_name
            yield pb.EndpointList(
                endpoints=_of(service, self._leases.values()), withdrawn=_of(service, self._withdrawn.values())
            )
            await self._wait(changed)

    async def _wait(self, changed: asyncio.Event) -> None:
        ends = [leased.ends for leased in self._leases.values()]
        pause = min([self._ttl, *(end - self._clock.now() for end in ends)])
        try:
            async with self._clock.timeout(max(0.01, pause)):
                await changed.wait()
        except TimeoutError:
            pass  # a lease may have ended, or it is time to say that nothing has changed

    def _lapse(self) -> None:
        now = self._clock.now()
        self._withdrawn = {key: kept for key, kept in self._withdrawn.items() if kept.ends > now}
        lapsed = [lease_id for lease_id, leased in self._leases.items() if leased.ends <= now]
        for lease_id in lapsed:
            del self._leases[lease_id]
        if lapsed:
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _lease(self, lease_id: str) -> pb.Lease:
        return pb.Lease(lease_id=lease_id, ttl_ms=int(self._ttl * 1000))


def _key(info: pb.ServiceRegistrationInfo) -> Key:
    return info.service_name, info.ip_address, info.port


def _of(service: str, kept: Iterable[Kept]) -> list[pb.ServiceRegistrationInfo]:
    return [each.info for each in kept if each.info.service_name == service]


def _check(info: pb.ServiceRegistrationInfo) -> None:
    violations = []
    if not 0 < len(info.service_name) <= MAX_NAME:
        violations.append(Violation("service_name", f"1 to {MAX_NAME} characters"))
    if not _is_address(info.ip_address):
        violations.append(Violation("ip_address", "an IPv4 or IPv6 address"))
    if not 0 < info.port <= MAX_PORT:
        violations.append(Violation("port", f"1 to {MAX_PORT}"))
    if len(info.metadata) > MAX_METADATA:
        violations.append(Violation("metadata", f"at most {MAX_METADATA} characters"))
    if violations:
        raise StatusError(Status.INVALID_ARGUMENT, "this cannot be registered as it is", violations=tuple(violations))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
