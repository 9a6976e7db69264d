"""A place that lets calls in, before a service that has its limits, in pure time: what becomes of it under overload."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random

from mesh.admission import Admission, Asking
from mesh.errors import Overloaded
from mesh.events import Event, Events, LimitChanged
from mesh.policy import AdmissionPolicy
from mesh.policy.methods import Priority
from mesh.testing import LoopClock

METHOD = "/test.Work/Do"


@dataclass(frozen=True)
class Call:
    """One that has ended: when it was due and how long it took, seconds; "ok", "late" or "refused"."""

    at: float
    took: float
    outcome: str
    priority: Priority = "normal"


@dataclass
class Sim:
    """So many workers, each of which does one call at a time.

    Attributes:
        work: makes the seconds that a call takes a worker.
        stuck: until it is set no call ends.
        deadline: seconds that a caller waits.
        calls: those that have ended.
        limits: the limit at each change, with its moment.
    """

    work: Callable[[Random], float]
    workers: int = 8
    deadline: float = 2.0
    seed: int = 1
    policy: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    calls: list[Call] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)
    stuck: "asyncio.Event | None" = None

    async def run(
        self, *phases: tuple[float, float], priority: Callable[[Random], Priority] = lambda _: "normal"
    ) -> None:
        """Phases: seconds, and calls a second in them."""
        events, self._rng = Events(), Random(self.seed)
        self._events, self._free = events, asyncio.Semaphore(self.workers)
        events.subscribe(self._hear)
        async with AsyncExitStack() as stack:
            self.admission = Admission("work", self.policy, clock=LoopClock(), rng=self._rng, events=events)
            await stack.enter_async_context(self.admission)
            running = set[asyncio.Task[None]]()
            end = self.now()
            for seconds, rate in phases:
                at, end = end, end + seconds
                while (at := at + self._rng.expovariate(rate)) < end:
                    await asyncio.sleep(max(0.0, at - self.now()))
                    task = asyncio.create_task(self._call(priority(self._rng)))
                    running.add(task)
                    task.add_done_callback(running.discard)
            while running:
                await asyncio.wait(running)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def _hear(self, event: Event) -> None:
        if isinstance(event, LimitChanged):
            self.limits.append((self.now(), event.after))

    async def _call(self, priority: Priority) -> None:
        at = self.now()
        try:
            permit = await self.admission.enter(Asking(METHOD, priority, at + self.deadline))
        except Overloaded:
            self.calls.append(Call(at, self.now() - at, "refused", priority))
            return
        outcome = "late"
        try:
            async with asyncio.timeout_at(at + self.deadline):
                async with self._free:
                    await asyncio.sleep(self.work(self._rng))
                    if self.stuck:
                        await self.stuck.wait()
            outcome = "ok"
        except TimeoutError:
            pass
        finally:
            self.admission.leave(permit, "done" if outcome == "ok" else "lost")
        self.calls.append(Call(at, self.now() - at, outcome, priority))

    def good(self, begin: float, end: float) -> float:
        """Good answers a second to calls that were due in that time."""
        return sum(begin <= call.at < end and call.outcome == "ok" for call in self.calls) / (end - begin)

    def took(self, outcome: str, share: float, begin: float = 0.0, end: float = float("inf")) -> float:
        """The seconds within which such a share of those calls ended."""
        took = sorted(call.took for call in self.calls if call.outcome == outcome and begin <= call.at < end)
        return took[int(share * (len(took) - 1))] if took else 0.0

    def limit(self, begin: float, end: float) -> float:
        """The mean over that time."""
        steps = [(at, limit) for at, limit in [(0.0, self.policy.first), *self.limits] if at < end]
        moments = [*(max(at, begin) for at, _ in steps), end]
        return sum(
            limit * (after - before) for (_, limit), before, after in zip(steps, moments, moments[1:], strict=False)
        ) / (end - begin)
