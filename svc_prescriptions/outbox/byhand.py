"""What a person may decide about a letter. Pure: a delivery in, the same out, or why not."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from storage.errors import StorageError
from svc_prescriptions.outbox.delivery import Delivery, State
from svc_prescriptions.outbox.intents import Present, meant
from svc_prescriptions.outbox.outcomes import replayed


class Refused(StorageError):
    """It cannot be done with this letter; the text says why and what can be done."""


def arrived(one: Delivery) -> Delivery:
    """An uncertain letter that is known to have arrived. Raises Refused."""
    _expect_uncertain(one)
    return replace(one, state=State.SENT, next_attempt_at=None)


def resend(one: Delivery, present: Present, mine: Collection[Delivery], now: datetime) -> Delivery:
    """An uncertain letter that is to be sent again, though it may have arrived; see `replay`. Raises Refused."""
    _expect_uncertain(one)
    return replay(one, present, mine, now, again=True)


def _expect_uncertain(one: Delivery) -> None:
    if one.state is not State.UNCERTAIN:
        told = f"delivery {one.delivery_id} is {one.state}; only an uncertain one can be settled"
        raise Refused(f"{told}; `mail replay` sends others anew")


def replay(one: Delivery, present: Present, mine: Collection[Delivery], now: datetime, *, again: bool) -> Delivery:
    """A letter that is to be sent at once, whatever became of it.

    Args:
        one: the letter.
        present: its prescription as it is now.
        mine: all letters about it.
        now: the time.
        again: also where it may have arrived.

    Raises:
        Refused: it must not be sent, or not by somebody who does not know that it may have arrived.
    """
    name = f"delivery {one.delivery_id}"
    if one.state is State.SENDING:
        raise Refused(f"{name} is being sent; see what becomes of it")
    if one.out and not again:
        raise Refused(f"{name} is {one.state}, so that it may be there twice then; add --again if that is wanted")
    if one.state is State.WITHDRAWN or meant(one, present, mine) is None:
        raise Refused(
            f"{name} is not true any more; look at the newer deliveries of prescription {one.prescription_id}"
        )
    return replayed(one, now)
