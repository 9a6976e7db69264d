"""The addresses of a name, as DNS tells them."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from mesh.clock import Clock
from mesh.endpoints.sources import Tell
from mesh.events import Events
from mesh.registry.client import Reach
from mesh.transport import split_address

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

LEAST, MOST = 1.0, 60.0  # seconds between two questions, whatever the records' time to live
PATIENCE = 2.0  # seconds for an answer
FAMILIES = ("A", "AAAA")


class Dns:
    """All addresses of a name, asked for again whenever their time to live is over.

    An answer counts whole: who is not in it any more leaves at once. When no answer comes, or the name is not
    there, nobody leaves who is at work.

    Args:
        place: "name:port".
        servers: "ip:port" of the servers to ask; by default those of this machine's configuration.

    Raises:
        ValueError: the place is not "name:port", or names an address.
    """

    def __init__(self, place: str, *, servers: Sequence[str] = ()) -> None:
        self._name, self._port = split_address(place)
        self._servers = [split_address(server) for server in servers]
        if _is_address(self._name):
            raise ValueError(f"{place!r} is an address already; write it without dns:")

    async def follow(self, service: str, tell: Tell, clock: Clock, events: Events) -> None:  # noqa: ARG002  # a Source
        resolver = self._resolver()
        families = [_Family(resolver, self._name, family, self._port) for family in FAMILIES]
        reach, before = Reach(f"dns:{self._name}", events), frozenset[str]()
        while True:
            failures = [failure for failure in await asyncio.gather(*(each.ask() for each in families)) if failure]
            reach.tell(failures[0] if failures else "answers", reachable=not failures)
            named = frozenset[str]().union(*(each.addresses for each in families))
            tell(named, before - named if named else frozenset())
            before = named
            await clock.sleep(min(max(LEAST, min(each.ttl for each in families)), MOST))

    def _resolver(self) -> "Resolver":
        from dns.asyncresolver import Resolver  # not at the top: most processes ask nobody
        from dns.nameserver import Do53Nameserver

        resolver = Resolver(configure=not self._servers)
        resolver.lifetime = PATIENCE
        if self._servers:
            resolver.nameservers = [Do53Nameserver(host, port) for host, port in self._servers]
        return resolver


class _Family:
    """The addresses of one kind.

    Attributes:
        addresses: what the last answer said.
        ttl: seconds for which it holds.
    """

    def __init__(self, resolver: "Resolver", name: str, family: str, port: int) -> None:
        self._resolver, self._name, self._family, self._port = resolver, name, family, port
        self.addresses = frozenset[str]()
        self.ttl = MOST

    async def ask(self) -> str:
        """Asks; returns why there is no answer, "" where there is one."""
        from dns.exception import DNSException
        from dns.resolver import NXDOMAIN

        try:
            answer = await self._resolver.resolve(self._name, self._family, raise_on_no_answer=False, search=True)
        except NXDOMAIN:
            self.addresses, self.ttl = frozenset(), LEAST
            return "no_such_name"
        except (DNSException, OSError) as error:
            self.ttl = LEAST
            return type(error).__name__.lower()
        found = [record.address for record in answer.rrset or ()]
        self.addresses = frozenset(_place(address, self._port) for address in found)
        self.ttl = answer.chaining_result.minimum_ttl if found else MOST
        return ""


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
