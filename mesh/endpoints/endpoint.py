"""One endpoint: its connection, its breaker, and what is known of its health and speed."""

from random import Random
from typing import NamedTuple, Protocol

from mesh.call import Call, Handler, Layer, Level, Method, Reply, stack
from mesh.clock import Clock
from mesh.decide.attempt_time import AttemptTimes
from mesh.decide.circuit import Circuit
from mesh.errors import MeshError, Refused
from mesh.events import Events, ProbeChanged
from mesh.layers.attempt import attempt
from mesh.layers.breaker import Breaker, guard
from mesh.policy import Policy
from mesh.wire.grpc.health import v1 as health

CHECK = Method(
    "/grpc.health.v1.Health/Check", health.HealthCheckRequest, health.HealthCheckResponse, Level.NO_SIDE_EFFECTS
)
SERVING = health.HealthCheckResponseServingStatus.SERVING
SMOOTHING = 0.1  # weight of the newest latency in the mean that is shown


class Wire(Protocol):
    """What carries calls to one address: `mesh.transport.Transport`, or one in memory."""

    async def __call__(self, call: Call) -> Reply: ...

    def close(self) -> None:
        """Calls under way are lost."""
        ...

    def close_when_idle(self) -> None:
        """Calls under way are answered."""
        ...


class EndpointState(NamedTuple):
    """What this process knows of an endpoint at one moment.

    Attributes:
        probe: "not yet probed", "serving", "not_serving" or "unreachable".
        breaker: "closed", "open" or "half-open", and why.
        latency_ms: a moving mean over the calls that were answered; None before the first.
    """

    address: str
    available: bool
    probe: str
    breaker: str
    breaker_reason: str
    in_flight: int
    latency_ms: float | None


class Endpoint:
    """A handler for one address, outermost first: breaker, attempt, what is `within`, the wire."""

    def __init__(
        self,
        service: str,
        address: str,
        policy: Policy,
        times: AttemptTimes,
        wire: Wire,
        clock: Clock,
        rng: Random,
        events: Events,
        within: tuple[Layer, ...] = (),
    ) -> None:
        self._service, self.address = service, address
        self._clock, self._events, self._policy = clock, events, policy
        self.breaker = Breaker(service, address, Circuit(policy.circuit, rng), clock, events)
        self._wire = wire
        # The breaker lies outside the attempt, so that it sees an attempt's time run out.
        inner = stack(guard(self.breaker), attempt(service, address, times, clock, events), *within)
        self._handler: Handler = inner(wire)
        self._probe, self._misses = "not yet probed", 0
        self._in_flight = 0
        self._latency: float | None = None

    @property
    def available(self) -> bool:
        """False while probes find nobody at work here or the breaker is open."""
        return self.well and self.breaker.permits

    @property
    def well(self) -> bool:
        """What the probes say; an endpoint not yet probed is given the benefit of the doubt."""
        return self._probe in {"serving", "not yet probed"}

    async def __call__(self, call: Call) -> Reply:
        self._in_flight += 1
        begun = self._clock.now()
        try:
            reply = await self._handler(call)
        finally:
            self._in_flight -= 1
        took = self._clock.now() - begun
        self._latency = took if self._latency is None else self._latency + SMOOTHING * (took - self._latency)
        return reply

    async def probe(self) -> None:
        """Asks for the endpoint's health, for at most one probe interval.

        An answer counts at once and so does a refused connection; of a silence it takes two,
        since a busy machine is silent now and then.
        """
        wait = self._policy.probe_interval
        call = Call(method=CHECK, message=health.HealthCheckRequest(), timeout=wait, deadline=self._clock.now() + wait)
        try:
            async with self._clock.timeout(wait):
                reply = await self._wire(call)
        except TimeoutError:
            self._misses += 1
            if self._misses > 1:
                self._found("unreachable")
        except Refused:
            pass  # it is there, and its connection goes away or is full: nothing is known of its health
        except MeshError:
            self._found("unreachable")
        else:
            self._misses = 0
            self._found("serving" if reply.message.status == SERVING else "not_serving")

    def state(self) -> EndpointState:
        latency = None if self._latency is None else round(self._latency * 1000, 3)
        breaker = self.breaker
        return EndpointState(
            self.address, self.available, self._probe, breaker.state, breaker.reason, self._in_flight, latency
        )

    def close(self) -> None:
        """Ends the connections; calls under way are lost."""
        self._wire.close()

    def close_when_idle(self) -> None:
        """Ends the connections once the calls under way are over."""
        self._wire.close_when_idle()

    def _found(self, probe: str) -> None:
        before, self._probe = self._probe, probe
        if probe != before:
            self._events.emit(ProbeChanged(self._service, self.address, before, probe))
        if probe == "serving":
            self.breaker.probed_well()
