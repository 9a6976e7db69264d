"""Defects that a hand may slip into the mail, as patches; see patches.py."""

from dataclasses import replace
from itertools import count
from typing import Any

from svc_prescriptions.outbox.delivery import State
from tests.faults.patches import Put, into


@into("storage.documents")
def outbox_outside_the_transaction(documents: Any, put: Put) -> None:
    """The intent to mail is written down when the prescription has been committed."""
    write = documents.Documents._write

    async def outside(self: Any, make: Any, patience: Any, once: Any) -> Any:
        follow, self._follow = self._follow, None
        try:
            made = await write(self, make, patience, once)
        finally:
            self._follow = follow
        await self._database.write(lambda connection: follow(connection, made))
        return made

    put(documents.Documents, "_write", outside)


@into("svc_prescriptions.outbox.claims")
def lease_never_lapses(claims: Any, put: Put) -> None:
    """What a worker has taken in hand stays there for good."""
    put(claims, "lease_ended", lambda _one, _now: False)


@into("svc_prescriptions.outbox.claims")
def lease_not_taken(claims: Any, put: Put) -> None:
    """Workers send what is due without taking it in hand."""

    async def taken(_self: Any, _connection: Any, one: Any, _now: Any) -> Any:
        return one

    put(claims.Claims, "_taken", taken)
    put(
        claims.Claims,
        "_mine",
        lambda _self, one=None: () if one is None else (claims.C.delivery_id == one.delivery_id,),
    )


@into("svc_prescriptions.outbox.outcomes")
def uncertain_taken_for_failed(outcomes: Any, put: Put) -> None:
    """A letter whose link died after its final dot is taken for one that did not arrive."""
    put(outcomes, "doubted", lambda one, told, _now, _rules: replace(outcomes._let_go(one, told), state=State.FAILED))


@into("svc_prescriptions.outbox.letters")
def message_id_random(letters: Any, put: Put) -> None:
    """Each attempt names the letter anew."""
    letter, numbers = letters.letter, count(1)
    put(
        letters,
        "letter",
        lambda *versions: replace(letter(*versions), message_id=f"<{next(numbers)}.random@localhost>"),
    )
