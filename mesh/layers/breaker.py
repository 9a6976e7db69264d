"""Keeps calls away from an endpoint that fails.

The decisions are `mesh.decide.circuit`'s; pybreaker holds the state for whoever knows that library
and its listeners, driven from here with our clock, since its own clock cannot be turned and its
half-open state lets any number of trials through.
"""

from pybreaker import CircuitBreaker

from mesh.call import Call, Handler, Layer, Reply
from mesh.clock import Clock
from mesh.decide.circuit import Circuit, Outcome, Permit
from mesh.errors import CircuitOpen, Lost, MeshError, RemoteError, Unreachable
from mesh.events import BreakerChanged, Events
from mesh.status import Status

# What says that the endpoint is unwell. INTERNAL is left out: one request that trips over a bug
# would otherwise close the service to everybody.
FAILURES = frozenset({Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED})


class Breaker:
    """One endpoint's breaker: a decision, and pybreaker as the holder of its state."""

    def __init__(self, service: str, endpoint: str, circuit: Circuit, clock: Clock, events: Events) -> None:
        self._service, self._endpoint = service, endpoint
        self._circuit, self._clock, self._events = circuit, clock, events
        self.holder = CircuitBreaker(name=f"{service} {endpoint}")

    @property
    def state(self) -> str:
        return self._circuit.state

    @property
    def reason(self) -> str:
        return self._circuit.reason

    @property
    def permits(self) -> bool:
        return self._circuit.permits(self._clock.now())

    @property
    def opens_in(self) -> float:
        """Seconds until a trial is let through; 0 where one already is."""
        return max(0.0, self._circuit.until - self._clock.now()) if self.state == "open" else 0.0

    def acquire(self) -> Permit:
        """The permit for one call.

        Raises:
            CircuitOpen: none is given at present.
        """
        permit = self._circuit.acquire(self._clock.now())
        self._show()
        if permit is None:
            raise CircuitOpen(f"the breaker of {self._endpoint} is {self.state}", retry_after=self.opens_in)
        return permit

    def settle(self, permit: Permit, outcome: Outcome) -> None:
        """Gives the permit back with what became of the call."""
        self._circuit.settle(permit, outcome, self._clock.now())
        self._show()

    def probed_well(self) -> None:
        """A probe of the endpoint succeeded."""
        self._circuit.probed_well()
        self._show()

    def _show(self) -> None:
        before, after = self.holder.current_state, self._circuit.state
        if before == after:
            return
        {"open": self.holder.open, "half-open": self.holder.half_open, "closed": self.holder.close}[after]()
        self._events.emit(BreakerChanged(self._service, self._endpoint, before, after, self.reason))


def guard(breaker: Breaker) -> Layer:
    """Lets a call through when the breaker gives a permit, and tells the breaker how it went."""

    def layer(following: Handler) -> Handler:
        async def handler(call: Call) -> Reply:
            permit = breaker.acquire()
            outcome = Outcome.UNDECIDED  # a cancellation says nothing about the endpoint
            try:
                reply = await following(call)
                outcome = Outcome.SUCCEEDED
            except MeshError as error:
                outcome = judged(error)
                raise
            finally:
                breaker.settle(permit, outcome)
            return reply

        return handler

    return layer


def judged(error: MeshError) -> Outcome:
    """What an error says about the endpoint. A caller whose own time was short says nothing."""
    if isinstance(error, Lost | Unreachable):
        return Outcome.FAILED
    if isinstance(error, RemoteError):
        return Outcome.FAILED if error.status in FAILURES else Outcome.SUCCEEDED
    return Outcome.UNDECIDED
