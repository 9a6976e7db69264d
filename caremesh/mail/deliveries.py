"""What became of letters, told to people."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from caremesh.mail.table import age, columns, moment

COLOURS = {"failed": "red", "uncertain": "yellow"}
HEAD = ("id", "prescription", "version", "kind", "state", "attempts", "next attempt", "last error")

Told = Mapping[str, Any]


def overview(told: Told, now: datetime) -> Iterator[str]:
    """What waits, how many there are in each state."""
    states, since = told["states"], told["waiting_since"]
    waiting = states["waiting"] + states["sending"]  # until the relay has it, it has not left
    if since:
        how_long = age((now - datetime.fromisoformat(since)).total_seconds())
        yield f"{waiting:,} {'letter waits' if waiting == 1 else 'letters wait'}, since {moment(since)} ({how_long})"
    else:
        yield "no letter waits"
    yield ", ".join(f"{state} {count:,}" for state, count in states.items())


def listed(told: Told) -> list[str]:
    """A table of them."""
    rows = [
        (
            one["delivery_id"],
            one["prescription_id"],
            one["version"],
            one["kind"],
            one["state"],
            one["attempts"],
            moment(one["next_attempt_at"]),
            one["last_error"],
        )
        for one in told["deliveries"]
    ]
    return columns(HEAD, rows) if rows else []


def hint(told: Told) -> str:
    """How to see more than the table shows."""
    shown, matching = len(told["deliveries"]), told["matching"]
    more = f"; these are the oldest {shown:,} of {matching:,}, --all lists every one" if matching > shown else ""
    return f"`caremesh mail show ID` tells more of one{more}"


def whole(one: Told) -> Iterator[str]:
    """All that is known of one, and what can be done with it."""
    yield from (f"  {label:<14}{value}" for label, value in _facts(one) if value not in ("", 0))
    if hints := _hints(one):
        yield ""
        yield from hints


def _facts(one: Told) -> Iterator[tuple[str, object]]:
    about = f", about version {one['about']}" if one["about"] != one["version"] else ""
    yield "prescription", f"{one['prescription_id']}, version {one['version']}{about}"
    yield "kind", one["kind"]
    yield "state", one["state"]
    yield "attempts", one["attempts"]
    yield "next attempt", moment(one["next_attempt_at"])
    yield "last error", one["last_error"]
    yield "in doubt", f"after {one['maybe_left']} of its attempts" if one["maybe_left"] else ""
    yield "Message-ID", one["message_id"]
    yield "replaces", one["replaces"]
    yield "made", moment(one["created_at"])
    yield "changed", moment(one["updated_at"])


def _hints(one: Told) -> list[str]:
    number = one["delivery_id"]
    if one["state"] == "uncertain":
        return [
            "The relay may have it, or not. Ask its recipient (the prescription's mail_to), or look for its Message-ID",
            "in the relay's log, and then:",
            f"  caremesh mail settle {number} sent      it has arrived",
            f"  caremesh mail settle {number} resend    it is sent again, and says that it may be there twice",
        ]
    if one["state"] == "failed":
        return [
            "It has not arrived, and is not sent again by itself. When what kept it is mended:",
            f"  caremesh mail replay {number}",
        ]
    return []


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)
