"""Sends what is due: finds letters, hands them to a few links, writes down what became of each.

`find` takes letters in hand, oldest first, and lays them out one by one; `carry`, once a link, takes them from there.
So each begins in order of age, and no more lie in hand than a lease can cover.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from mesh.clock import Clock
from mesh.decide.circuit import Outcome as Verdict
from mesh.decide.circuit import Permit
from mesh.errors import CircuitOpen
from mesh.layers.breaker import Breaker
from mesh.policy import CircuitPolicy
from storage.errors import StorageError
from svc_prescriptions.outbox.attempt import Attempts, Link
from svc_prescriptions.outbox.claims import LEASE, Claims
from svc_prescriptions.outbox.delivery import Delivery
from svc_prescriptions.relay.result import Outcome, Result

LINKS = 2
BATCH = 20  # letters taken in hand at once
PER_LINK = 100  # letters over one connection
IDLE = 5.0  # seconds that a connection waits for another letter
EVERY = 1.0  # seconds between looks at most; a write of this process is looked at once
RENEW = LEASE.total_seconds() / 3
GRACE = 0.7  # seconds for the letters that are being sent when the worker is stopped
TO_RELEASE = 0.5  # seconds to give back what is in hand then
POLICY = CircuitPolicy(in_a_row=3, trial_limit=30.0)

log = logging.getLogger(__name__)


Work = tuple[Delivery, Permit]


class Worker:
    """One process's.

    Args:
        claims: the outbox, as it sees it.
        attempts: what is done with a letter in hand.
        links: makes a link to the relay.
        breaker: the relay's: while it is open nothing is taken in hand.
        written: set when this process has written something that may be due.
        clock: for pauses.
        rng: spreads workers.
    """

    def __init__(
        self,
        claims: Claims,
        attempts: Attempts,
        links: Callable[[], Link],
        breaker: Breaker,
        written: asyncio.Event,
        clock: Clock,
        rng: Random,
    ) -> None:
        self._claims, self._attempts, self._links, self._breaker = claims, attempts, links, breaker
        self._written, self._clock, self._rng = written, clock, rng
        self._laid_out: asyncio.Queue[Work] = asyncio.Queue(1)
        self._in_hand: set[int] = set()
        self._sending: set[asyncio.Task[object]] = set()
        self._ending = False

    async def run(self, stop: asyncio.Event) -> None:
        """Works until the event is set; then lets letters that are being sent end, GRACE seconds at most."""
        finding = [asyncio.create_task(work) for work in (self._find(), self._renew())]
        carrying = [asyncio.create_task(self._carry()) for _ in range(LINKS)]
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({stopped, *finding, *carrying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end(stopped, *finding, carrying=carrying)
        for task in done:
            task.result()  # none of them ends but by a fault of this program

    async def _end(self, *others: "asyncio.Task[Any]", carrying: "list[asyncio.Task[None]]") -> None:
        self._ending = True
        for task in (*others, *(one for one in carrying if one not in self._sending)):
            task.cancel()
        await asyncio.wait(carrying, timeout=GRACE)
        for task in carrying:
            task.cancel()
        await asyncio.gather(*others, *carrying, return_exceptions=True)
        with suppress(StorageError):  # then their leases end
            await self._claims.release(TO_RELEASE)

    # Finding

    async def _find(self) -> None:
        while True:
            await self._wait()
            while await self._laid_out_some():
                pass

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with self._clock.timeout(self._rng.uniform(0.5, 1.0) * EVERY):
                await self._written.wait()
        self._written.clear()

    async def _laid_out_some(self) -> bool:
        """Whether there was something to lay out, so that there may be more."""
        try:
            permit = self._breaker.acquire()
        except CircuitOpen:
            return False
        letters = await self._taken(1 if permit.trial else BATCH)
        if not letters:
            self._breaker.settle(permit, Verdict.UNDECIDED)
        for number, one in enumerate(letters):
            if self._breaker.state == "open":
                await self._give_back(letters[number:])
                return False
            await self._laid_out.put((one, permit))
        return bool(letters)

    async def _taken(self, most: int) -> Sequence[Delivery]:
        try:
            keys = await self._claims.due(most)
            letters = list(await self._claims.take(keys, most)) if keys else []
        except StorageError as error:
            log.warning("the outbox cannot be looked at (%s); the next try follows", type(error).__name__)
            return []
        self._in_hand |= {one.delivery_id for one in letters}
        return letters

    async def _give_back(self, letters: Sequence[Delivery]) -> None:
        with suppress(StorageError):  # then their leases end
            await self._claims.give_back(letters, "relay away")
        self._in_hand -= {one.delivery_id for one in letters}

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(RENEW)
            if self._in_hand:
                with suppress(StorageError):  # there are two more tries before the leases end
                    await self._claims.renew(self._in_hand)

    # Carrying

    async def _carry(self) -> None:
        while True:
            work: Work | None = await self._laid_out.get()
            async with self._links() as link:
                sent = 0
                while work:
                    await self._send(link, *work)
                    sent += 1
                    work = None if self._ending or sent == PER_LINK else await self._next()
            if self._ending:
                return

    async def _next(self) -> Work | None:
        with suppress(TimeoutError):
            async with self._clock.timeout(IDLE):
                return await self._laid_out.get()
        return None

    async def _send(self, link: Link, one: Delivery, permit: Permit) -> None:
        task = asyncio.current_task()
        assert task  # noqa: S101  # it runs in one
        self._sending.add(task)
        try:
            await self._attempts.make(link, one, lambda result: self._judge(link, permit, result))
        finally:
            self._sending.discard(task)
            self._in_hand.discard(one.delivery_id)

    def _judge(self, link: Link, permit: Permit, result: Result) -> None:
        self._breaker.settle(permit, verdict(result, link))
        if permit.trial:  # the rest need not wait for the next look
            self._written.set()


def verdict(result: Result, link: Link) -> Verdict:
    """What an outcome says about the relay. That it wants one letter later says nothing."""
    if result.ours:
        return Verdict.UNDECIDED
    if result.outcome in (Outcome.SENT, Outcome.REFUSED):
        return Verdict.SUCCEEDED
    return Verdict.UNDECIDED if link.alive else Verdict.FAILED
