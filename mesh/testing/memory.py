"""A service in memory: replicas that need no socket, and can be killed, held up and started again."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from random import Random

from grpclib.const import Handler
from grpclib.exceptions import GRPCError

from mesh.admission import Admission, Asking
from mesh.call import Call, Reply, Service
from mesh.clock import Clock
from mesh.endpoints.sources import Tell
from mesh.errors import OVERLOADED, Lost, Overloaded, RemoteError, Unreachable
from mesh.events import Events
from mesh.policy import AdmissionPolicy
from mesh.server.admitting import counted, priority_of
from mesh.server.exchange import Exchange
from mesh.server.health import Health, HealthService
from mesh.server.methods import Methods
from mesh.status import Status
from mesh.transport.calls import remote, texts


class InMemory:
    """Replicas of a service. Give it to a `ServiceClient` as its `source`, and its `connect` as `connect`.

    Messages are handed over as they are, without a codec. Each call is handled in a task of its own, with its
    deadline, its metadata and all else that a method sees of a call by `mesh.server.current`.

    Args:
        make: makes one replica's services, instances of generated service bases.
        addresses: "host:port" of the replicas; any that look so.
        admission: how many calls each takes on at one time; None for any number. Probes and streams always pass.
    """

    def __init__(
        self,
        make: Callable[[], Collection[Service]],
        addresses: Sequence[str],
        *,
        clock: Clock,
        admission: AdmissionPolicy | None = None,
    ) -> None:
        self.replicas = {address: Replica(address, make(), clock, admission) for address in addresses}

    def __getitem__(self, address: str) -> "Replica":
        return self.replicas[address]

    def connect(self, address: str) -> "Replica":
        """What carries calls to an address."""
        return self.replicas[address]

    async def follow(self, service: str, tell: Tell, clock: Clock, events: Events) -> None:  # noqa: ARG002  # a Source
        """All of them are there from the beginning, well or not."""
        tell(frozenset(self.replicas))


class Replica:
    """One replica.

    Attributes:
        health: what its probes are told.
        latency: makes the seconds that it takes before it begins with a call.
        events: what its server's side tells.
    """

    def __init__(
        self, address: str, services: Collection[Service], clock: Clock, admission: AdmissionPolicy | None = None
    ) -> None:
        self.address, self.health, self.events = address, Health(), Events()
        self.latency: Callable[[], float] = lambda: 0.0
        self._clock, self._up = clock, True
        self._going_on = asyncio.Event()
        self._going_on.set()
        names = frozenset(path.split("/")[1] for service in services for path in service.__mapping__())
        everything = (*services, HealthService(self.health, names))
        self._methods = Methods(everything, self.events, "memory", clock)
        self.admission: Admission | None = None
        if admission is not None:
            self.admission = Admission(address, admission, clock=clock, rng=Random(address), events=self.events)  # noqa: S311  # repeats a run
        self._handling = set[asyncio.Task[Reply]]()

    @property
    def in_flight(self) -> int:
        return len(self._handling)

    def kill(self) -> None:
        """What is in flight is lost, and nobody answers until it is started again."""
        self._up = False
        for task in self._handling:
            task.cancel()

    def start(self) -> None:
        """It is there again, as if it were new."""
        self._up = True

    def hold(self) -> None:
        """It stands still: calls arrive, and nothing is done until it goes on."""
        self._going_on.clear()

    def go_on(self) -> None:
        """It does what it was asked for meanwhile."""
        self._going_on.set()

    async def __call__(self, call: Call) -> Reply:
        """Carries a call to it. Raises as `mesh.transport.Transport` does."""
        if not self._up:
            raise Unreachable(f"no connection to {self.address}: it is down")
        task = asyncio.create_task(self._handled(call))
        self._handling.add(task)
        task.add_done_callback(self._handling.discard)
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()  # whoever asked may have gone
        if task.cancelled():
            raise Lost(f"the call to {self.address} broke: it was killed", reason="link_broke")
        return task.result()

    async def _handled(self, call: Call) -> Reply:
        await self._going_on.wait()
        if latency := self.latency():
            await self._clock.sleep(latency)
        exchange = Exchange(call.message, call.metadata, call.deadline, self._clock)
        handler = self._methods.table[call.method.path]
        try:
            await (
                self._admitted(self.admission, handler, call, exchange) if self.admission else handler.func(exchange)
            )
        except Overloaded as error:
            text, after = str(error), error.retry_after
            raise RemoteError(Status.UNAVAILABLE, text, code=OVERLOADED, pushback=after) from None
        except GRPCError as error:
            raise remote(error, exchange) from None
        return Reply(exchange.answer, texts(exchange.trailing_metadata), self.address)

    async def _admitted(self, admission: Admission, handler: Handler, call: Call, exchange: Exchange) -> None:
        path, priority = call.method.path, priority_of(handler, call.method.path, call.metadata)
        permit = await admission.enter(Asking(path, priority, call.deadline, call.request_id))
        exchange.waited = permit.waited
        await counted(admission, permit, handler.func(exchange))

    def close(self) -> None:
        """Its client has gone; it serves others."""

    def close_when_idle(self) -> None:
        """The same."""
