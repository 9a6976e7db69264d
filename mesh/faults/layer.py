"""Lets faults befall the attempts of an endpoint, between its attempt timeout and the wire."""

from mesh.call import Call, Handler, Layer, Reply
from mesh.clock import Clock
from mesh.events import Events, FaultInjected
from mesh.faults.fault import LOST, Faults, raised


def inject(faults: Faults, endpoint: str, clock: Clock, events: Events) -> Layer:
    """Delays an attempt and ends it as the faults say. One whose answer is lost is carried out before."""

    def layer(following: Handler) -> Handler:
        async def handler(call: Call) -> Reply:
            delay, error = faults.draw(call.method.name, endpoint)
            if delay or error:
                events.emit(FaultInjected(call.method.path, call.request_id, endpoint, delay, error))
            if delay:
                await clock.sleep(delay)
            if error and error != LOST:
                raise raised(error)
            reply = await following(call)
            if error:
                raise raised(error)
            return reply

        return handler

    return layer
