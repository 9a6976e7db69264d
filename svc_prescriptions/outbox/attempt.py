"""One attempt to send one letter: composed, handed over, its outcome written down."""

import logging
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from types import TracebackType
from typing import Protocol, Self

from mesh.clock import Clock
from mesh.events import whence
from observability.tracing import Tracing, failed
from storage.errors import StorageError
from svc_prescriptions.mailbox import MailboxError
from svc_prescriptions.outbox.claims import Claims
from svc_prescriptions.outbox.delivery import Delivery
from svc_prescriptions.relay.result import Outcome, Result
from svc_prescriptions.relay.transfer import HandingOver

AGAIN = 1.0  # seconds before the database is told an outcome again
LEVELS = {Outcome.REFUSED: logging.WARNING, Outcome.UNCERTAIN: logging.WARNING}

log = logging.getLogger(__name__)


class Link(Protocol):
    """One connection to a relay, for several letters."""

    @property
    def alive(self) -> bool:
        """Whether there is a connection."""
        ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    async def send(self, recipient: str, message: EmailMessage, handing_over: HandingOver) -> Result:
        """See `svc_prescriptions.relay.Link`."""
        ...


class Attempts:
    """Makes them.

    Args:
        claims: the outbox.
        compose: makes the mail of a delivery.
        tracing: each attempt is a span of the trace whose request made the letter.
        clock: for pauses.
    """

    def __init__(
        self, claims: Claims, compose: Callable[[Delivery], Awaitable[EmailMessage]], tracing: Tracing, clock: Clock
    ) -> None:
        self._claims, self._compose, self._tracing, self._clock = claims, compose, tracing, clock

    async def make(self, link: Link, one: Delivery, judge: Callable[[Result], object]) -> None:
        """Sends a letter that is in hand; `judge` hears at once what came of it, before that is written down."""
        attributes = {"caremesh.delivery_id": one.delivery_id, "caremesh.attempt": one.attempts}
        with self._tracing.resumed("mail", one.traceparent, attributes) as span:
            result = await self._sent(link, one)
            if result.outcome is not Outcome.SENT:
                failed(span, result.outcome.value)
            judge(result)
            log.log(
                LEVELS.get(result.outcome, logging.INFO),
                "delivery %d of prescription %d, attempt %d: %s (%s)",
                one.delivery_id,
                one.prescription_id,
                one.attempts,
                result.outcome.value,
                result.told,
            )
            await self._settled(one, result)

    async def _sent(self, link: Link, one: Delivery) -> Result:
        handed = False

        async def handing_over() -> bool:
            nonlocal handed
            handed = await self._handed_over(one)
            return handed

        try:
            return await link.send(one.recipient, await self._compose(one), handing_over)
        except MailboxError:
            return Result(Outcome.REFUSED, "no mailbox", ours=True)
        except Exception as error:  # noqa: BLE001  # one letter must not keep all others from being sent
            log.warning("delivery %d ended by %s", one.delivery_id, whence(error))
            return Result(Outcome.UNCERTAIN if handed else Outcome.LATER, type(error).__name__, ours=True)

    async def _handed_over(self, one: Delivery) -> bool:
        try:
            return await self._claims.hand_over(one)
        except StorageError as error:  # what is not written down is not done
            log.warning("delivery %d cannot be handed over (%s)", one.delivery_id, type(error).__name__)
            return False

    async def _settled(self, one: Delivery, result: Result) -> None:
        while True:
            try:
                if not await self._claims.settle(one, result):
                    log.warning("delivery %d is in another worker's hand by now", one.delivery_id)
            except StorageError as error:
                log.warning("delivery %d cannot be settled yet (%s)", one.delivery_id, type(error).__name__)
                await self._clock.sleep(AGAIN)
            else:
                return
