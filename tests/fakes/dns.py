"""A server of names that says what it is told to say, over UDP."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass(eq=False)
class Names(asyncio.DatagramProtocol):
    """Serves while its block is entered.

    Attributes:
        records: addresses by kind, "A" and "AAAA".
        ttl: seconds that they hold.
        rcode: how every answer ends.
        silent: no answer at all.
        asked: how often each kind was asked for.
    """

    records: dict[str, list[str]] = field(default_factory=dict)
    ttl: int = 30
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    silent: bool = False
    asked: Counter[str] = field(default_factory=Counter)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._closed = cast("asyncio.DatagramTransport", transport), asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked[kind] += 1
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        answer.set_rcode(self.rcode)
        if (addresses := self.records.get(kind)) and not self.rcode:
            answer.answer.append(dns.rrset.from_text(question.name, self.ttl, "IN", kind, *addresses))
        if not self.silent:
            self._transport.sendto(answer.to_wire(), addr)

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._transport.get_extra_info("sockname"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()
        await self._closed.wait()
