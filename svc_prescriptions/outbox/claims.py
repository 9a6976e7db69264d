"""The outbox as a worker sees it: letters are taken in hand under a lease, handed over, and settled.

Several workers share one outbox. A letter in hand is its holder's until the lease ends; only what is still the
holder's, in this very attempt, can be handed over or settled by it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from sqlalchemy import ColumnElement, Select, Update, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database
from storage.shape import utc_now
from svc_prescriptions.outbox.delivery import Delivery, State
from svc_prescriptions.outbox.intents import review, superseded
from svc_prescriptions.outbox.outcomes import Rules, doubted, given_back, lapsed, settled
from svc_prescriptions.outbox.rows import WITH_RECIPIENT, changes, delivery, held_of, present_of, save
from svc_prescriptions.relay.result import Outcome, Result
from svc_prescriptions.tables import deliveries

LEASE = timedelta(seconds=30)
STOPPED = "worker stopped"

C = deliveries.c


BUSY = deliveries.alias("busy")
IN_HAND = (
    select(BUSY.c.delivery_id)
    .where(BUSY.c.prescription_id == C.prescription_id, BUSY.c.state == State.SENDING)
    .where(BUSY.c.held_until > bindparam("now"))
    .exists()
)


def _due(state: State, moment: ColumnElement[datetime | None]) -> Select[tuple[int, int]]:
    return (
        select(C.delivery_id, C.prescription_id)
        .where(C.state == state, moment <= bindparam("now"), ~IN_HAND)
        .order_by(C.delivery_id)
        .limit(bindparam("most"))
    )


DUE = (
    _due(State.WAITING, C.next_attempt_at),
    _due(State.UNCERTAIN, C.next_attempt_at),
    _due(State.SENDING, C.held_until),
)


class Claims:
    """One worker's.

    Args:
        database: the prescriptions'.
        holder: the worker's name, which no other worker ever has.
        rules: how long to try.
        now: the time, in UTC.
        rng: spreads what would come at once.
    """

    def __init__(
        self,
        database: Database,
        holder: str,
        rules: Rules,
        now: Callable[[], datetime] = utc_now,
        rng: Random | None = None,
    ) -> None:
        self._database, self._holder, self._rules, self._now = database, holder, rules, now
        self._rng = rng or Random()  # noqa: S311  # spreads rivals, hides nothing

    async def due(self, most: int) -> Sequence[int]:
        """The prescriptions of the oldest letters that are due, at most so many, or whose lease has ended.

        Those of which one is in hand are left out: what follows it must wait, and must not keep others waiting.
        """

        async def work(connection: AsyncConnection) -> Sequence[int]:
            asked = {"now": self._now(), "most": most}
            rows = [row for query in DUE for row in (await connection.execute(query, asked)).all()]
            oldest = sorted(rows, key=lambda row: row.delivery_id)[:most]
            return list(dict.fromkeys(row.prescription_id for row in oldest))

        return await self._database.read(work)

    async def take(self, keys: Collection[int], most: int) -> Sequence[Delivery]:
        """Takes letters of these prescriptions in hand, at most so many, the oldest first."""

        async def work(connection: AsyncConnection) -> Sequence[Delivery]:
            now, ready = self._now(), list[Delivery]()
            stored = [await self._freed(connection, one, now) for one in await held_of(connection, keys)]
            for key, present in (await present_of(connection, keys)).items():
                found = review(present, [one for one in stored if one.prescription_id == key], now)
                ready += found.ready
                for one in found.overtaken:
                    await save(connection, superseded(one), now)
            return [await self._taken(connection, one, now) for one in sorted(ready, key=_age)[:most]]

        return await self._database.write(work)

    async def _freed(self, connection: AsyncConnection, one: Delivery, now: datetime) -> Delivery:
        """A letter that is in nobody's hand any more if its holder's lease has ended."""
        if not lease_ended(one, now):
            return one
        freed = lapsed(one, now, self._rules)
        await save(connection, freed, now)
        return freed

    async def _taken(self, connection: AsyncConnection, one: Delivery, now: datetime) -> Delivery:
        taken = replace(
            one,
            state=State.SENDING,
            attempts=one.attempts + 1,
            next_attempt_at=None,
            holder=self._holder,
            held_until=now + LEASE,
            handed_at=None,
        )
        await save(connection, taken, now)
        return taken

    async def renew(self, letters: Collection[int]) -> None:
        """These letters stay in this worker's hand for another lease.

        Not whatever is written down as its own: of a `take` that got no answer it knows nothing.
        """
        mine = (*self._mine(), C.delivery_id.in_(letters))
        renewal = update(deliveries).where(*mine).values(held_until=self._now() + LEASE)
        await self._database.write(lambda connection: connection.execute(renewal))

    async def hand_over(self, one: Delivery) -> bool:
        """Writes down that the relay gets the letter now; False: it is not in this worker's hand any more."""
        now = self._now()
        handed = update(deliveries).where(*self._mine(one)).values(handed_at=now, held_until=now + LEASE)
        return await self._changed(handed)

    async def settle(self, one: Delivery, result: Result) -> bool:
        """Writes down what became of an attempt; False: somebody else has the letter in hand by now."""
        now = self._now()
        values = changes(settled(one, result, now, self._rules, self._rng), now)
        if await self._changed(update(deliveries).where(*self._mine(one)).values(values)):
            return True
        if result.outcome is not Outcome.SENT:
            return False
        # The lease had ended, and so it was taken for uncertain; nobody has tried again since, and it is not.
        doubted = (C.delivery_id == one.delivery_id, C.attempts == one.attempts, C.state == State.UNCERTAIN)
        return await self._changed(update(deliveries).where(*doubted).values(values))

    async def give_back(self, letters: Collection[Delivery], told: str) -> None:
        """Letters in hand that are not tried after all."""

        async def work(connection: AsyncConnection) -> None:
            now = self._now()
            for one in letters:
                values = changes(given_back(one, told, now), now)
                await connection.execute(update(deliveries).where(*self._mine(one)).values(values))

        await self._database.write(work)

    async def release(self, patience: float) -> None:
        """Gives back all that is in this worker's hand, whatever it is: the worker has ended."""

        async def work(connection: AsyncConnection) -> None:
            now = self._now()
            held = WITH_RECIPIENT.where(*self._mine()).with_for_update()
            for one in [delivery(row) for row in (await connection.execute(held)).all()]:
                freed = lapsed(one, now, self._rules) if one.handed_at else given_back(one, STOPPED, now)
                await save(connection, freed, now)

        await self._database.write(work, patience)

    def _mine(self, one: Delivery | None = None) -> Sequence[ColumnElement[bool]]:
        """In this worker's hand; `one`: that letter, in that attempt."""
        mine = (C.holder == self._holder, C.state == State.SENDING)
        return mine if one is None else (*mine, C.delivery_id == one.delivery_id, C.attempts == one.attempts)

    async def _changed(self, statement: Update) -> bool:
        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(statement)).rowcount == 1

        return await self._database.write(work)


async def doubt_unsent(connection: AsyncConnection, now: datetime, rules: Rules) -> None:
    """After a copy was put back: what had not been sent when it was taken may have been sent since."""
    unsent = WITH_RECIPIENT.where(C.state.in_([State.WAITING, State.SENDING]))
    for one in [delivery(row) for row in (await connection.execute(unsent)).all()]:
        await save(connection, doubted(one, "copy put back", now, rules), now)


def lease_ended(one: Delivery, now: datetime) -> bool:
    """Whether a letter in hand is in nobody's hand any more."""
    return one.state is State.SENDING and one.held_until is not None and one.held_until <= now


def _age(one: Delivery) -> int:
    return one.delivery_id
