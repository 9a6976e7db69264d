"""`Cache-Status` and `Age`: whether an answer was kept, for how long, and if not why.

Source: RFC 9211 (Cache-Status), RFC 9111, 5.1 (Age), 5.2.1 (what a request may ask for).
"""

import re
from collections.abc import Iterable

from mesh.served import Served

NOT_KEPT = Served("bypass")
"""What is asked for anew each time: nobody keeps it here."""

FORWARDED = {"absent": "uri-miss", "expired": "stale", "overtaken": "stale", "passed_by": "request"}
"""Why a call was made, in RFC 9211's words."""

_PAST = re.compile(r"(?:^|,)\s*(?:no-cache|no-store|max-age=0+)\s*(?:,|$)", re.ASCII | re.IGNORECASE)


def goes_past(values: Iterable[str]) -> bool:
    """Does a request's `Cache-Control` ask for an answer that is made for it?"""
    return any(_PAST.search(value) for value in values)


def cache_headers(served: Served) -> list[tuple[bytes, bytes]]:
    """The headers of a read's answer."""
    if served.how not in ("hit", "stale"):
        return [(b"cache-status", f"caremesh; {_forwarded(served)}".encode())]
    told = f"caremesh; hit; ttl={int(served.ttl // 1)}"
    if served.how == "stale":
        told += f'; detail="stale: {served.why}"'
    return [(b"cache-status", told.encode()), (b"age", b"%d" % served.age)]


def _forwarded(served: Served) -> str:
    parts = [f"fwd={FORWARDED.get(served.why, 'bypass')}"]
    if served.how == "joined":
        parts.append("collapsed")
    if served.kept is not None:
        parts.append("stored")
    return "; ".join(parts)
