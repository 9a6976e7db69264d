"""What a process takes on at one time: lets calls in, has some wait for their turn, refuses the others cheaply."""

import asyncio
from collections.abc import Iterable
from random import Random
from types import TracebackType
from typing import Literal, NamedTuple, Self

from mesh.clock import Clock
from mesh.decide.limit import Begun, Limit, Told
from mesh.decide.turns import Refused, Turns, Waiting
from mesh.errors import Overloaded
from mesh.events import Events, LimitChanged, Shed, WouldHave
from mesh.policy import AdmissionPolicy
from mesh.policy.methods import Priority

TICK = 0.05  # seconds between two looks at the loop's lag
Ending = Told | Literal["gone"]
"""How a call ended for the limit; "gone" if nobody waited for it any longer."""
USUAL = 0.005  # seconds of it that mean nothing
PLACES = 4  # to wait, for each call that may be under way
SPREAD = 1.25  # so that those who were refused together do not come again together


class Asking(NamedTuple):
    """A call that wants to be let in.

    Attributes:
        deadline: seconds of the clock; after it nobody waits for the answer.
    """

    method: str
    priority: Priority = "normal"
    deadline: float = float("inf")
    request_id: str = ""


class Permit(NamedTuple):
    """A call that was let in, after so many seconds; `begun` is None if it does not count."""

    method: str
    begun: Begun | None
    waited: float = 0.0


class Admission:
    """One place where calls are let in, while its block is entered.

    Args:
        service: whose calls they are, for events and errors.
    """

    def __init__(self, service: str, policy: AdmissionPolicy, *, clock: Clock, rng: Random, events: Events) -> None:
        self.service, self._policy = service, policy
        self._clock, self._rng, self._events = clock, rng, events
        self._limit, self._turns = Limit(policy, clock.now()), Turns(policy)
        self._watching: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self._limit.in_flight

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return len(self._turns)

    @property
    def limit(self) -> int:
        """So many may be."""
        return int(self._limit.limit)

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})

    async def enter(self, asking: Asking) -> Permit:
        """Lets a call in, perhaps after a while. Whoever has the permit gives it back by `leave`.

        Raises:
            Overloaded: it is not let in.
        """
        if asking.priority == "always" or self._policy.mode == "off":
            return Permit(asking.method, None)
        now = self._clock.now()
        if self._limit.in_flight < self._turns.room(asking.priority, self._limit.room(now), now):
            return Permit(asking.method, self._limit.begin(now))
        self._limit.crowded()
        if self._policy.mode == "shadow":
            what = "had the call wait, or refused it"
            self._events.emit(
                WouldHave(self.service, "admission", what, "no_room", "", asking.method, asking.request_id)
            )
            return Permit(asking.method, self._limit.begin(now))
        begun = await self._turn(asking, now)
        return Permit(asking.method, begun, begun.at - now)

    def leave(self, permit: Permit, ending: Ending, *, took: float | None = None) -> None:
        """The call is over.

        `took`: seconds, where those since it began say nothing of this process.
        """
        if permit.begun is None:
            return
        now, before = self._clock.now(), self.limit
        told = self._gone(permit.method, now - permit.begun.at) if ending == "gone" else ending
        looked = self._limit.end(permit.method, permit.begun, now, told, took=took)
        if looked and self.limit != before:
            self._events.emit(LimitChanged(self.service, before, self.limit, self._limit.why))
        self._pass_on(now)

    def _gone(self, method: str, took: float) -> Told:
        """Whose caller went sooner than it could have had its answer says nothing."""
        allowed = self._limit.allowed(method)
        return "lost" if allowed is not None and took > allowed else "unsaid"

    async def _turn(self, asking: Asking, now: float) -> Begun:
        ticket: asyncio.Future[Begun | Refused] = asyncio.get_running_loop().create_future()
        waiting = Waiting(asking.priority, now, asking.deadline, ticket)
        self._let_go(self._turns.join(waiting, PLACES * self.limit, now))
        try:
            async with self._clock.timeout(self._turns.patience(now)):
                result = await ticket
        except TimeoutError:
            result = ticket.result() if _settled(ticket) else "waited_too_long"
            self._turns.gave_up(waiting, self._clock.now())
        except asyncio.CancelledError:
            self._turns.leave(waiting)
            if _settled(ticket) and isinstance(begun := ticket.result(), Begun):
                self.leave(Permit(asking.method, begun), "unsaid")
            raise
        if isinstance(result, Begun):
            return result
        raise self._refused(asking, result)

    def _pass_on(self, now: float) -> None:
        while len(self._turns):
            self._limit.crowded()
            following, over = self._turns.next(self._limit.room(now), self._limit.in_flight, now)
            self._let_go(over)
            if following is None:
                break
            if not following.ticket.done():  # else its caller has just gone
                following.ticket.set_result(self._limit.begin(now))

    def _let_go(self, over: Iterable[tuple[Waiting, Refused]]) -> None:
        for waiting, why in over:
            if not waiting.ticket.done():
                waiting.ticket.set_result(why)

    def _refused(self, asking: Asking, why: Refused) -> Overloaded:
        after = self._policy.retry_after * self._rng.uniform(1.0, SPREAD)
        shed = (self.service, asking.method, asking.request_id, asking.priority, why, self.in_flight, self.limit, after)
        self._events.emit(Shed(*shed))
        told = f"{self.service} has {self.in_flight} calls under way and takes on no more; come again in {after:.1f} s"
        return Overloaded(told, retry_after=after)

    async def _watch(self) -> None:
        while True:
            due = self._clock.now() + TICK
            await self._clock.sleep(TICK)
            self._limit.lagged(max(0.0, self._clock.now() - due - USUAL))


def _settled(ticket: "asyncio.Future[Begun | Refused]") -> bool:
    return ticket.done() and not ticket.cancelled()
