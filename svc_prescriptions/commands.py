"""What only this service's program does: `mail` looks at letters and decides about them. It prints JSON."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import orjson

from hosting.hosted import Command, Hosted
from hosting.messages import rfc3339
from hosting.settings import ServiceSettings
from storage.database import Database
from storage.errors import NotFound
from svc_prescriptions.outbox.byhand import Refused
from svc_prescriptions.outbox.deliveries import Deliveries
from svc_prescriptions.outbox.delivery import Delivery, State

USAGE = (
    "mail list [--all] [STATE] [PRESCRIPTION] | mail show ID | mail replay [--again] ID | mail settle ID sent|resend"
)
LISTED = 200
UNSENT = (State.WAITING, State.SENDING)
UNENDED = (*UNSENT, State.UNCERTAIN, State.FAILED)

Work = Callable[[Deliveries], Awaitable[object]]
Ask = Callable[[Deliveries, int], Awaitable[Delivery]]


def command(arguments: Sequence[str]) -> Command | None:
    """What the arguments ask for; None where they ask for nothing that there is."""
    work: Work | None = None
    match arguments:
        case ["mail", "list", "--all", *filters]:
            work = _listing(filters, None)
        case ["mail", "list", *filters]:
            work = _listing(filters, LISTED)
        case ["mail", "show", key] if _is_id(key):
            work = partial(_one, Deliveries.get, int(key))
        case ["mail", "replay", key] if _is_id(key):
            work = partial(_one, Deliveries.replay, int(key))
        case ["mail", "replay", "--again", key] if _is_id(key):
            work = partial(_one, partial(Deliveries.replay, again=True), int(key))
        case ["mail", "settle", key, "sent"] if _is_id(key):
            work = partial(_one, Deliveries.arrived, int(key))
        case ["mail", "settle", key, "resend"] if _is_id(key):
            work = partial(_one, Deliveries.resend, int(key))
    return partial(_run, work) if work else None


def _listing(filters: Sequence[str], most: int | None) -> Work | None:
    match filters:
        case []:
            return partial(_list, states=UNENDED, most=most)
        case [state] if state in list(State):
            return partial(_list, states=(State(state),), most=most)
        case [key] if _is_id(key):
            return partial(_list, states=tuple(State), most=most, of=int(key))
        case [state, key] if state in list(State) and _is_id(key):
            return partial(_list, states=(State(state),), most=most, of=int(key))
    return None


def _run(work: Work, _hosted: Hosted, settings: ServiceSettings) -> str:
    async def done() -> object:
        async with Database(settings.database) as database:
            return await work(Deliveries(database))

    try:
        return orjson.dumps(asyncio.run(done())).decode()
    except NotFound as error:
        raise Refused(f"delivery {error.key} does not exist; `mail list` shows those that do") from None


async def _list(deliveries: Deliveries, states: Sequence[State], most: int | None, of: int = 0) -> object:
    """How many are in which state, since when the oldest waits, and those in some states, the oldest first.

    With a prescription those are its own alone. `matching`: how many of those there are; at most `most` are listed.
    """
    counts = await deliveries.counts()
    matching = await deliveries.counts(of) if of else counts
    waiting = await deliveries.oldest(UNSENT, 1)
    return {
        "states": {state.value: counts.get(state, 0) for state in State},
        "waiting_since": rfc3339(waiting[0].created_at) if waiting else "",
        "matching": sum(matching.get(state, 0) for state in states),
        "deliveries": [_plain(one) for one in await deliveries.oldest(states, most, of)],
    }


async def _one(ask: Ask, key: int, deliveries: Deliveries) -> object:
    return _plain(await ask(deliveries, key))


def _plain(one: Delivery) -> dict[str, object]:
    """What may be told of it: neither whom it goes to nor what it says."""
    return {
        "delivery_id": one.delivery_id,
        "prescription_id": one.prescription_id,
        "version": one.version,
        "about": one.about,
        "kind": one.kind,
        "state": one.state,
        "attempts": one.attempts,
        "maybe_left": one.maybe_left,
        "created_at": rfc3339(one.created_at),
        "updated_at": rfc3339(one.updated_at),
        "next_attempt_at": rfc3339(one.next_attempt_at) if one.next_attempt_at else "",
        "message_id": one.message_id,
        "replaces": one.replaces,
        "last_error": one.last_error,
    }


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) < 11  # noqa: PLR2004  # digits of an id
