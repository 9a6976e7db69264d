"""Where a call's time went, hop by hop, in the words of `Server-Timing`.

Each part's seconds are in no other part, so that together they are never more than the whole.

Source: www.w3.org/TR/server-timing.
"""

import re
from collections.abc import Mapping

SERVER_TIMING = "server-timing"
"""Trailing metadata of a reply or a refusal: "queue;dur=0.1, database;dur=2.3, service;dur=0.4", in milliseconds."""
OF_A_SERVICE = ("queue", "database", "service")
"""Waiting to be let in; what the service says that it waits for; all else there."""
_PART = re.compile(r"([a-z]+);dur=([0-9]{1,9}(?:\.[0-9]{1,6})?)", re.ASCII)


def written(parts: Mapping[str, float]) -> str:
    """Seconds by part, as text."""
    return ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in parts.items())


def read(text: str) -> dict[str, float]:
    """Seconds by part, of those that a service may tell; what cannot be read is not there."""
    found = (_PART.fullmatch(part.strip()) for part in text.split(","))
    return {each[1]: float(each[2]) / 1000 for each in found if each and each[1] in OF_A_SERVICE}


def of_call(seconds: float, attempts: float, told: str) -> dict[str, float]:
    """A call's seconds by part.

    Args:
        seconds: of the whole call, as its caller measured them.
        attempts: of them, those of its attempts and the pauses between them; 0 if there were none for it.
        told: what the service said of the last one.
    """
    attempts = min(attempts, seconds)
    inner = read(told)
    if sum(inner.values()) > attempts:
        inner = {}  # its clock is not ours, or it is not of this call
    return {"cache": seconds - attempts, "attempts": attempts - sum(inner.values()), **inner}
