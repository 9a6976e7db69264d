"""One endpoint: its connection, its breaker, and what is known of its health and speed."""

from collections.abc import Awaitable
from random import Random
from typing import NamedTuple, Protocol

from mesh.call import Call, Handler, Layer, Level, Method, Reply, stack
from mesh.clock import Clock
from mesh.decide.attempt_time import AttemptTimes
from mesh.decide.circuit import Circuit
from mesh.decide.ejection import Judged, Standing
from mesh.decide.load import Load
from mesh.errors import MeshError, Refused, RemoteError
from mesh.events import Events, ProbeChanged
from mesh.layers.attempt import attempt
from mesh.layers.breaker import Breaker, guard
from mesh.layers.measure import measure
from mesh.policy import Policy
from mesh.status import Status
from mesh.wire.grpc.health import v1 as health

CHECK = Method(
    "/grpc.health.v1.Health/Check", health.HealthCheckRequest, health.HealthCheckResponse, Level.NO_SIDE_EFFECTS
)
SERVING = health.HealthCheckResponseServingStatus.SERVING
LATE = 0.1  # of a probe's time; whoever wakes so much later did not wait but stood still


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
        available: could it be asked now, and is it not ejected?
        probe: "not yet probed", "serving", "not_serving" or "unreachable".
        breaker: "closed", "open" or "half-open", and why.
        ejection: "in rotation", "lowered" or "ejected", and why.
        weight: the share that it takes of the calls that would be its own, 0 to 1.
        latency_ms: what the balancer reckons with: the highest of late, fading; None while nothing is known.
    """

    address: str
    available: bool
    probe: str
    breaker: str
    breaker_reason: str
    ejection: str
    ejection_reason: str
    weight: float
    in_flight: int
    latency_ms: float | None


class Endpoint:
    """A handler for one address, outermost first: measure, breaker, attempt, what is `within`, the wire.

    Attributes:
        load: what a balancer must see.
        standing: what ejection makes of it beside the others.
    """

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
        self.load = Load(policy.balance, policy.ejection.window, clock.now())
        self.standing = Standing()
        self.breaker = Breaker(service, address, Circuit(policy.circuit, rng), clock, events, self.returned)
        self._wire = wire
        # The breaker lies outside the attempt, so that it sees an attempt's time run out.
        inner = stack(
            measure(self.load, policy.balance.failure, clock),
            guard(self.breaker),
            attempt(service, address, times, clock, events),
            *within,
        )
        self._handler: Handler = inner(wire)
        self._probe, self._misses = "not yet probed", 0
        self.well = True  # whoever is not yet probed is given the benefit of the doubt

    def usable(self, now: float) -> bool:
        """False while probes find nobody at work here or the breaker is open."""
        return self.well and self.breaker.permits(now)

    def __call__(self, call: Call) -> Awaitable[Reply]:
        return self._handler(call)

    def returned(self) -> None:
        """It was away, and is in rotation again."""
        self.load.anew(self._clock.now())

    def judged(self, now: float) -> Judged:
        """What ejection must see."""
        recent = self.load.recent
        recent.forget(now)
        usable = self.usable(now)
        return Judged(self.address, self.standing, recent.calls, recent.failures, recent.took, usable)

    async def probe(self) -> None:
        """Asks for the endpoint's health, for at most one probe interval.

        An answer counts at once and so does a refused connection; of a silence it takes two, since a busy machine is
        silent now and then. Who does not know probes is well, as gRFC A17 has it.
        """
        wait = self._policy.probe_interval
        ends = self._clock.now() + wait
        call = Call(method=CHECK, message=health.HealthCheckRequest(), timeout=wait, deadline=ends)
        try:
            async with self._clock.timeout(wait):
                reply = await self._wire(call)
        except TimeoutError:
            if self._clock.now() - ends < LATE * wait:  # else this process stood still, and has read no answers
                self._missed()
        except Refused:
            pass  # it is there, and its connection goes away or is full: nothing is known of its health
        except RemoteError as error:
            self._answered(error.status)
        except MeshError:
            self._found("unreachable")
        else:
            self._misses = 0
            self._found("serving" if reply.message.status == SERVING else "not_serving")

    def state(self) -> EndpointState:
        now, load, breaker = self._clock.now(), self.load, self.breaker
        cost = load.cost(now)
        return EndpointState(
            address=self.address,
            available=self.usable(now) and not load.ejected,
            probe=self._probe,
            breaker=breaker.state,
            breaker_reason=breaker.reason,
            ejection="ejected" if load.ejected else "lowered" if load.share < 1.0 else "in rotation",
            ejection_reason=self.standing.reason,
            weight=0.0 if load.ejected else round(load.weight(now), 3),
            in_flight=load.in_flight,
            latency_ms=round(cost * 1000, 3) if cost else None,
        )

    def close(self) -> None:
        """Ends the connections; calls under way are lost."""
        self._wire.close()

    def close_when_idle(self) -> None:
        """Ends the connections once the calls under way are over."""
        self._wire.close_when_idle()

    def _missed(self) -> None:
        self._misses += 1
        if self._misses > 1:
            self._found("unreachable")

    def _answered(self, status: Status) -> None:
        if status is Status.DEADLINE_EXCEEDED:
            return self._missed()
        self._misses = 0
        return self._found("serving" if status is Status.UNIMPLEMENTED else "not_serving")

    def _found(self, probe: str) -> None:
        before, self._probe = self._probe, probe
        was_well, self.well = self.well, probe == "serving"
        if probe != before:
            self._events.emit(ProbeChanged(self._service, self.address, before, probe))
        if self.well and not was_well:
            self.returned()
        if self.well:
            self.breaker.probed_well()
