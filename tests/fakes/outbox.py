"""An outbox in memory and links that do what they are told, for tests of what lies between them."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from random import Random
from types import TracebackType
from typing import Self

from mesh.testing import TurnedClock
from storage.errors import StorageError
from svc_prescriptions.outbox.claims import Claims
from svc_prescriptions.outbox.delivery import Delivery, Kind, State
from svc_prescriptions.outbox.outcomes import Rules, given_back, settled
from svc_prescriptions.relay.result import Outcome, Result
from svc_prescriptions.relay.transfer import HandingOver

BEGINNING = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Rules(give_up=timedelta(hours=120), repeat_after=timedelta(minutes=15))


class FakeClaims(Claims):
    """Each prescription has one letter. `fails` are raised, one after the other, by what is done next.

    Attributes:
        letters: by their id.
        looks: how often somebody asked what is due.
        renewals: how often the leases were renewed.
    """

    def __init__(self, clock: TurnedClock, count: int) -> None:
        self._clock = clock
        self.letters = {number: self._letter(number) for number in range(1, count + 1)}
        self.looks = self.renewals = 0
        self.fails = list[StorageError]()

    def _letter(self, number: int) -> Delivery:
        return Delivery(
            delivery_id=number,
            prescription_id=number,
            version=1,
            about=1,
            kind=Kind.NEW,
            created_at=self.time,
            updated_at=self.time,
            next_attempt_at=self.time,
            message_id=f"<{number}@x>",
            recipient=f"{number}@example.org",
        )

    @property
    def time(self) -> datetime:
        return BEGINNING + timedelta(seconds=self._clock.now())

    def states(self) -> list[str]:
        return [one.state.value for one in self.letters.values()]

    def add(self) -> None:
        number = len(self.letters) + 1
        self.letters[number] = self._letter(number)

    async def _asked(self) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails.pop(0)

    async def due(self, most: int) -> Sequence[int]:
        self.looks += 1
        await self._asked()
        return [number for number, one in self.letters.items() if one.due(self.time)][:most]

    async def take(self, keys: Collection[int], most: int) -> Sequence[Delivery]:
        await self._asked()
        taken = [replace(self.letters[key], state=State.SENDING, attempts=1) for key in sorted(keys)[:most]]
        self._put(*taken)
        return taken

    async def renew(self, letters: Collection[int]) -> None:
        self.renewals += 1
        assert set(letters) <= {number for number, one in self.letters.items() if one.state is State.SENDING}
        await self._asked()

    async def hand_over(self, one: Delivery) -> bool:
        await self._asked()
        return self.letters[one.delivery_id].state is State.SENDING

    async def settle(self, one: Delivery, result: Result) -> bool:
        await self._asked()
        self._put(settled(one, result, self.time, RULES, Random(1)))
        return True

    async def give_back(self, letters: Collection[Delivery], told: str) -> None:
        await self._asked()
        self._put(*(given_back(one, told, self.time) for one in letters))

    async def release(self, patience: float) -> None:
        await self._asked()
        held = [one for one in self.letters.values() if one.state is State.SENDING]
        self._put(*(given_back(one, "worker stopped", self.time) for one in held))

    def _put(self, *letters: Delivery) -> None:
        self.letters |= {one.delivery_id: one for one in letters}


class FakeRelay:
    """Makes links; each letter has `outcome`, once `answers` is set.

    Attributes:
        begun: the numbers of the letters that were begun, in their order.
        links: how many there were.
        open: how many there are.
    """

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.links = self.open = 0
        self.outcome = Outcome.SENT
        self.answers = asyncio.Event()
        self.answers.set()

    def link(self) -> "FakeLink":
        return FakeLink(self)


class FakeLink:
    """One of them. It is connected as long as its letters have outcomes that a connection outlives."""

    def __init__(self, relay: FakeRelay) -> None:
        self._relay, self.alive = relay, False

    async def __aenter__(self) -> Self:
        self._relay.links += 1
        self._relay.open += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._relay.open -= 1

    async def send(self, recipient: str, message: EmailMessage, handing_over: HandingOver) -> Result:
        self._relay.begun.append(int(recipient.partition("@")[0]))
        outcome = self._relay.outcome
        if outcome is Outcome.RELAY_AWAY:
            self.alive = False
            return Result(outcome, "connect ConnectionRefusedError")
        self.alive = True
        if not await handing_over():
            self.alive = False
            return Result(Outcome.LATER, "lease lost", ours=True)
        await self._relay.answers.wait()
        return Result(outcome, outcome.value)
