"""Bounds one attempt in time, and tells when it starts and how it ends."""

from mesh.call import Call, Handler, Layer, Reply
from mesh.clock import Clock
from mesh.errors import DeadlineExceeded, Lost, MeshError
from mesh.events import AttemptEnded, AttemptStarted, Events


def attempt(endpoint: str, timeout: float, clock: Clock, events: Events) -> Layer:
    """At most `timeout` seconds, and never past the call's deadline.

    A call that may not be repeated has all the time until its deadline: giving it up earlier
    would only turn a late answer into an unknown one.
    """

    def layer(following: Handler) -> Handler:
        async def handler(call: Call) -> Reply:
            started = AttemptStarted(call.method.path, call.request_id, endpoint, call.attempt, dict(call.metadata))
            begun, outcome = clock.now(), "cancelled"
            events.emit(started)
            try:
                reply = await _bounded(following, call._replace(metadata=started.metadata), timeout, clock)
                outcome = "ok"
            except MeshError as error:
                outcome = error.reason
                raise
            finally:
                events.emit(AttemptEnded(started, outcome, clock.now() - begun))
            return reply

        return handler

    return layer


async def _bounded(following: Handler, call: Call, timeout: float, clock: Clock) -> Reply:
    left = call.deadline - clock.now()
    if left <= 0:
        raise DeadlineExceeded("no time was left to send the call")
    short = timeout < left and call.repeatable
    try:
        async with clock.timeout(timeout if short else left):
            return await following(call)
    except TimeoutError:
        if short:
            raise Lost("the attempt's time ran out", reason="attempt_timeout") from None
        raise DeadlineExceeded("the call's time ran out while it was under way", maybe_done=True) from None
