"""Stamps a call with the moment by which it must be answered, and tells when it begins and how it ends."""

from mesh.call import Call, Handler, Layer, Reply
from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.events import CallEnded, CallStarted, Events, WouldHave
from mesh.policy import Policy
from mesh.server.current import handled


def deadline(service: str, policy: Policy, clock: Clock, events: Events) -> Layer:
    """The least of what the caller grants, what is left of the call being handled, and what the policy grants.

    Of the first two this hop keeps a reserve in which it answers. It waits for nothing itself: waiting is bounded
    where it happens.
    """
    shadow = policy.deadline.mode == "shadow"

    def layer(following: Handler) -> Handler:
        async def handler(call: Call) -> Reply:
            begun = clock.now()
            granted, reason, outer = _granted(call, policy)
            stamped = call._replace(
                deadline=min(call.deadline, begun + granted), outer=outer, attempts=1 if outer else call.attempts
            )
            started = CallStarted(call.method.path, call.request_id, granted, reason)
            outcome = "cancelled"
            events.emit(started)
            try:
                reply = await following(stamped)
                outcome = "ok"
            except MeshError as error:
                outcome = error.reason
                raise
            finally:
                took = clock.now() - begun
                events.emit(CallEnded(started, outcome, took))
                if shadow and took > (most := policy.of(call.method).deadline):
                    events.emit(_would_have(service, call, most))
            return reply

        return handler

    return layer


def _granted(call: Call, policy: Policy) -> tuple[float, str, int]:
    """Seconds, who said so, and how often the call being handled would be made again."""
    left, reason, outer = call.timeout, "caller", 0
    handling = handled()
    if handling is not None:
        outer = handling.attempts_left
        theirs = handling.remaining()
        if theirs is not None and theirs < left:
            left, reason = theirs, "handled"
    granted = max(left - policy.deadline.reserve, left / 2)
    if policy.deadline.mode == "enforce" and (most := policy.of(call.method).deadline) < granted:
        return most, "policy", outer
    return granted, reason, outer


def _would_have(service: str, call: Call, most: float) -> WouldHave:
    what = f"ended the call after {most:g} s"
    return WouldHave(service, "deadline", what, "deadline_exceeded", "", call.method.path, call.request_id)
