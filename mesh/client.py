"""Calls a service: builds the stack of layers around its endpoints."""

import asyncio
from collections.abc import Callable, Mapping
from random import Random, SystemRandom
from types import TracebackType
from typing import Any, Self

from grpclib.encoding.base import CodecBase
from grpclib.encoding.proto import ProtoCodec

from mesh.batch import Batch
from mesh.cache import Keeper, Store
from mesh.call import PRIORITY, Call, Method, Reply, stack
from mesh.clock import Clock, SystemClock
from mesh.decide.attempt_time import AttemptTimes
from mesh.endpoints import Endpoint, EndpointState, Outliers, Pool, Source, Wire
from mesh.errors import NO_INFO
from mesh.events import Event, Events, ProbeChanged
from mesh.faults.fault import Faults
from mesh.faults.layer import inject
from mesh.layers.balance import balance
from mesh.layers.batch import Batching
from mesh.layers.cache import Cache
from mesh.layers.deadline import deadline
from mesh.layers.hedge import Hedge
from mesh.layers.retry import Retry
from mesh.policy import MethodPolicy, Policy
from mesh.policy.methods import PRIORITIES, Priority
from mesh.server.current import handled
from mesh.transport import Transport, refused

NO_BATCHES: Mapping[str, Batch] = {}


class ServiceClient:
    """One service, however many endpoints it has at the moment, while its block is entered.

    Args:
        service: the name under which its endpoints register.
        methods: what may be called, by name (`mesh.call.methods_of`).
        source: where the endpoints come from: `Leases`, `Static`.
        codec: turns messages into bytes and back; by default as betterproto2 does it.
        policy: what a call may cost and repeat.
        memory: bytes of answers that are kept in this process. 0, and no store: none are kept at all.
        store: where answers are kept that several processes share; it is closed with the client.
        connect: makes what carries calls to an address; by default HTTP/2 over TCP, with the codec.
        faults: what befalls attempts on purpose.
        batches: methods that carry several calls of another one that come in the same turn of the loop, by the path
            of that one (`mesh.batch.batches_of`).
        clock, rng: time and chance, for tests to turn.
    """

    def __init__(
        self,
        service: str,
        *,
        methods: Mapping[str, Method],
        source: Source,
        events: Events,
        codec: CodecBase | None = None,
        policy: Policy | None = None,
        memory: int = 0,
        store: Store | None = None,
        connect: Callable[[str], Wire] | None = None,
        faults: Faults | None = None,
        batches: Mapping[str, Batch] = NO_BATCHES,
        clock: Clock | None = None,
        rng: Random | None = None,
    ) -> None:
        policy, clock, rng = policy or Policy(), clock or SystemClock(), rng or SystemRandom()
        codec, times = codec or ProtoCodec(), AttemptTimes(policy.attempt)
        self._events = events
        self.service, self._methods = service, {name: (each, policy.of(each)) for name, each in methods.items()}
        self._enforced = policy.retry.mode == "enforce"

        def endpoint(address: str) -> Endpoint:
            wire = connect(address) if connect else Transport(address, codec, clock)
            within = [] if faults is None else [inject(faults, address, clock, events)]
            if batches and isinstance(wire, Transport):
                within.append(
                    Batching(address, batches, wire.streamed, refused, codec, self._keeper.tasks, clock, events)
                )
            return Endpoint(service, address, policy, times, wire, clock, rng, events, tuple(within))

        outliers = Outliers(service, policy.ejection, clock, events)
        self._pool = Pool(service, source, endpoint, policy.probe_interval, outliers, clock, events)
        self._keeper = Keeper(service, codec, policy.cache, memory, store, clock, rng, events)
        policies = {each.path: kept for each, kept in self._methods.values()}
        cache = Cache(self._keeper, codec, policies, self._pool.deserted, clock, events)
        # Outermost first. The deadline is stamped once, so that all attempts share it; the cache lies where it sees
        # whatever fails below, which it may answer stale; retry lies above balance, so that each attempt may go
        # elsewhere, and above hedge, so that it sees two attempts at one time as one; breaker and attempt timeout lie
        # inside each endpoint.
        retry = Retry(service, policy, clock, rng, events)
        hedge = Hedge(service, policy, self._pool, clock, events)
        layers = stack(deadline(service, policy, clock, events), *([cache] if memory or store else []), retry, hedge)
        self._handler = layers(balance(service, self._pool, policy.balance, clock, rng, events))

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        await self._keeper.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:  # first those who wait for what is being made, then what makes it
            await self._keeper.__aexit__(kind, error, trace)
        finally:
            await self._pool.__aexit__(kind, error, trace)

    async def call(
        self,
        method: str,
        message: Any,
        *,
        timeout: float = float("inf"),
        metadata: Mapping[str, str] = NO_INFO,
        scope: str = "",
        request_id: str = "",
        cached: bool = True,
    ) -> Reply:
        """Makes a call and returns its reply.

        Args:
            method: its name, such as "GetPatientRecord".
            message: the request, of the method's own type.
            timeout: seconds until the caller must have answered its own caller. Never more than what is left of the
                call being handled (`mesh.server.detached` is for work that is no part of it) and than what the
                policy grants.
            metadata: travels beside the message; values are printable ASCII.
            scope: opaque; calls of different scopes never share anything.
            request_id: names the request in events, logs and traces.
            cached: may it be answered by what is kept from another call? What it brings is kept all the same.

        Raises:
            KeyError: the service has no such method.
            ValueError: the codec does not take the message.
            MeshError: see mesh.errors.
        """
        if method not in self._methods:
            raise KeyError(f"{self.service} has no unary method {method!r}; it has {', '.join(self._methods)}")
        called, policy = self._methods[method]
        priority = _priority(policy)
        if priority != "normal":
            metadata = {**metadata, PRIORITY: priority}
        return await self._handler(
            Call(
                method=called,
                message=message,
                timeout=timeout,
                metadata=metadata,
                scope=scope,
                request_id=request_id,
                repeatable=policy.repeatable(metadata),
                attempts=policy.attempts if self._enforced else 1,
                cached=cached,
            )
        )

    async def ready(self) -> None:
        """Returns once some endpoint serves: right after the start nobody is known yet. Bound it in time yourself."""
        found = asyncio.Event()

        def listen(event: Event) -> None:
            if isinstance(event, ProbeChanged) and event.service == self.service and event.after == "serving":
                found.set()

        with self._events.subscribed(listen):
            if not any(endpoint.probe == "serving" for endpoint in self.endpoints()):
                await found.wait()

    def endpoints(self) -> list[EndpointState]:
        """What this process knows of each endpoint now."""
        return [endpoint.state() for endpoint in self._pool.known()]


def _priority(policy: MethodPolicy) -> Priority:
    """The method's own; what a call is made for that others go before does not go before them either."""
    handling = handled()
    if handling is None or PRIORITIES.index(handling.priority) <= PRIORITIES.index(policy.priority):
        return policy.priority
    return handling.priority
