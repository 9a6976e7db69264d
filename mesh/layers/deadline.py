"""Stamps a call with the moment by which it must be answered."""

from mesh.call import Call, Handler, Layer, Reply
from mesh.clock import Clock


def deadline(reserve: float, clock: Clock) -> Layer:
    """Turns the seconds a caller grants into a moment, less `reserve` seconds in which this hop answers.

    It waits for nothing itself: waiting is bounded where it happens.
    """

    def layer(following: Handler) -> Handler:
        async def handler(call: Call) -> Reply:
            granted = max(call.timeout - reserve, call.timeout / 2)
            return await following(call._replace(deadline=min(call.deadline, clock.now() + granted)))

        return handler

    return layer
