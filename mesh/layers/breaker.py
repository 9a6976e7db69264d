"""Keeps calls away from an endpoint that fails.

The decisions are `mesh.decide.circuit`'s; pybreaker holds the state for whoever knows that library
and its listeners, driven from here with our clock, since its own clock cannot be turned and its
half-open state lets any number of trials through.
"""

from collections.abc import Callable

from pybreaker import CircuitBreaker

from mesh.call import Call, Handler, Layer, Reply
from mesh.clock import Clock
from mesh.decide.circuit import Circuit, Outcome, Permit
from mesh.errors import CircuitOpen, Lost, MeshError, RemoteError, Unreachable
from mesh.events import BreakerChanged, Events, WouldHave
from mesh.status import Status


class Breaker:
    """One endpoint's breaker: a decision, and pybreaker as the holder of its state.

    Args:
        on_close: called when it has closed again.
    """

    def __init__(
        self,
        service: str,
        endpoint: str,
        circuit: Circuit,
        clock: Clock,
        events: Events,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._service, self._endpoint, self._on_close = service, endpoint, on_close
        self._circuit, self._clock, self._events = circuit, clock, events
        self.mode = circuit.policy.mode
        self.holder = CircuitBreaker(name=f"{service} {endpoint}")

    @property
    def state(self) -> str:
        return self._circuit.state

    @property
    def reason(self) -> str:
        return self._circuit.reason

    def permits(self, now: float) -> bool:
        """Would a call be let through now?"""
        return self.mode != "enforce" or self._circuit.permits(now)

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
            wait = self.opens_in
            after = f"one call is let through in {wait:.1f} s" if self.state == "open" else "one call is on trial"
            raise CircuitOpen(
                f"the breaker of {self._endpoint} is {self.state} ({self.reason}): {after}", retry_after=wait
            )
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
        if after == "closed":
            self._on_close()

    def would_have_refused(self, call: Call, refusal: CircuitOpen) -> None:
        """In shadow a call is let through without a permit."""
        what, method = "refused the call", call.method.path
        self._events.emit(
            WouldHave(self._service, "breaker", what, str(refusal), self._endpoint, method, call.request_id)
        )


def guard(breaker: Breaker) -> Layer:
    """Lets a call through when the breaker gives a permit, and tells the breaker how it went."""

    def layer(following: Handler) -> Handler:
        if breaker.mode == "off":
            return following

        async def handler(call: Call) -> Reply:
            try:
                permit = breaker.acquire()
            except CircuitOpen as refusal:
                if breaker.mode == "enforce":
                    raise
                breaker.would_have_refused(call, refusal)
                return await following(call)
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
    """What an error says about the endpoint.

    A caller whose own time was short says nothing, and neither does an attempt that was given up early (the balancer
    sees to slow ones; where all become slower, breakers would end all) or a far side that says when to come again: it
    is at work, and has too much of it. INTERNAL is no failure: one request that trips over a bug would
    otherwise close the service to everybody.
    """
    if error.early:
        return Outcome.UNDECIDED
    if isinstance(error, Lost | Unreachable):
        return Outcome.FAILED
    if not isinstance(error, RemoteError) or error.status is Status.DEADLINE_EXCEEDED or error.pushback is not None:
        return Outcome.UNDECIDED
    return Outcome.FAILED if error.status is Status.UNAVAILABLE else Outcome.SUCCEEDED
