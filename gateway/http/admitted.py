"""Lets requests in before the framework: what is refused here costs a small part of what an answer costs.

What a request waits for elsewhere is no load of the gateway's own, and a slow service must not close the gateway to the
others. So the loop's lag alone says how much there is to do here: what is ready waits that long.
"""

from math import ceil
from typing import Any

from gateway.http import problems as kinds
from gateway.http.edge import Receive, Scope, Send
from gateway.http.exchange import exchange_of
from gateway.http.problems import Problem
from gateway.http.proxy_status import told
from mesh.admission import Admission, Asking
from mesh.errors import Overloaded
from mesh.policy.methods import Priority
from observability.logs import METHODS, PROBES

OWN = 0.01
"""Seconds that a request is taken to need of the gateway; it may be so much later as the policy has it."""
BULK, HEALTH = "/history", "/health"


class Admitted:
    """An ASGI layer around the framework, inside the edge and what answers without the framework."""

    def __init__(self, app: Any, admission: Admission) -> None:
        self._app, self._admission = app, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange, verb = exchange_of(scope), scope["method"]
        method = verb if verb in METHODS else "_OTHER"  # any other word is a client's text
        priority = priority_of(verb, scope["path"])
        deadline = exchange.started + exchange.longest
        try:
            permit = await self._admission.enter(Asking(method, priority, deadline, exchange.request_id))
        except Overloaded as error:
            why = told("connection_limit_reached", "the gateway has too much to do")
            wait = str(max(1, ceil(error.retry_after or 0)))
            raise Problem(kinds.OVERLOADED, headers={"Retry-After": wait, "Proxy-Status": why}) from None
        try:
            await self._app(scope, receive, send)
        finally:
            self._admission.leave(permit, "done", took=OWN)


def priority_of(verb: str, path: str) -> Priority:
    """Probes always, writes before reads, histories last."""
    if path in PROBES or path == HEALTH:
        return "always"
    if verb not in ("GET", "HEAD", "OPTIONS"):
        return "high"
    return "low" if path.endswith(BULK) else "normal"
