"""`Server-Timing`: where a request's time went, in milliseconds; `total` is all of it, until its answer began.

Source: www.w3.org/TR/server-timing.
"""

from collections import Counter

from gateway.http.exchange import Exchange
from mesh.timing import written


def receipt(exchange: Exchange, now: float) -> bytes:
    """Of a request that called a service, and whose answer begins now; "" of others."""
    if not exchange.calls:
        return b""
    before, after = exchange.calls[0][0] - exchange.started, now - exchange.calls[-1][1]
    parts = Counter({"gateway": before + after})
    for _, _, call in exchange.calls:
        parts.update(call)
    return written({**parts, "total": now - exchange.started}).encode()
