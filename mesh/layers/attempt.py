"""Bounds one attempt in time, and tells when it starts and how it ends."""

from mesh.call import ATTEMPTS_LEFT, Call, Handler, Layer, Reply
from mesh.clock import Clock
from mesh.decide.attempt_time import AttemptTimes
from mesh.errors import NOT_SENT, DeadlineExceeded, Lost, MeshError, RemoteError, Unreachable
from mesh.events import AttemptEnded, AttemptStarted, Events, WouldHave
from mesh.status import Status


def attempt(service: str, endpoint: str, times: AttemptTimes, clock: Clock, events: Events) -> Layer:
    """Never past the call's deadline, and at most as long as the method's attempts take in bad cases.

    A call that may not be repeated has all the time until its deadline: giving it up earlier
    would only turn a late answer into an unknown one. So would it to give up an attempt that none follows by what is
    usual: that one has the policy's most.

    All endpoints of a service share `times`: what one of them takes too long, another need not.
    """

    def layer(following: Handler) -> Handler:
        async def handler(call: Call) -> Reply:
            begun, path = clock.now(), call.method.path
            left, most = call.deadline - begun, _usual(times, call, begun)
            short = most < left and call.repeatable and times.mode == "enforce"
            metadata = dict(call.metadata)
            if again := call.attempts - call.attempt + call.outer:
                metadata[ATTEMPTS_LEFT] = str(again)
            started = AttemptStarted(path, call.request_id, endpoint, call.attempt, most if short else left, metadata)
            outcome, tells = "cancelled", False
            events.emit(started)
            try:
                reply = await _bounded(following, call._replace(metadata=metadata), started.granted, clock, short=short)
                outcome, tells = "ok", True
            except MeshError as error:
                error.early = short and most < times.most and error.reason == "attempt_timeout"
                outcome = error.reason
                tells = took_its_time(error)
                raise
            finally:
                now = clock.now()
                if tells:
                    times.took(path, now - begun, now, early=outcome == "attempt_timeout")
                events.emit(AttemptEnded(started, outcome, now - begun))
                if times.mode == "shadow" and now - begun > most and call.repeatable:
                    events.emit(_would_have(service, started, most))
            return reply

        return handler

    return layer


def _usual(times: AttemptTimes, call: Call, now: float) -> float:
    return times.granted(call.method.path, now) if call.attempt < call.attempts else times.most


async def _bounded(following: Handler, call: Call, seconds: float, clock: Clock, *, short: bool) -> Reply:
    if seconds <= 0:
        raise DeadlineExceeded("no time was left to send the call", reason="no_time_left")
    if seconds == float("inf"):
        return await following(call)
    try:
        async with clock.timeout(seconds):
            return await following(call)
    except TimeoutError as error:
        raise _out_of_time(error, short=short) from None


def _out_of_time(error: TimeoutError, *, short: bool) -> MeshError:
    sent = getattr(error.__cause__, "args", ()) != (NOT_SENT,)
    if short:
        lost = Lost("the attempt's time ran out", reason="attempt_timeout")
        return lost if sent else Unreachable("the attempt's time ran out before there was a connection")
    until = "while it was under way" if sent else "before there was a connection"
    return DeadlineExceeded(f"the call's time ran out {until}", maybe_done=sent)


def took_its_time(error: MeshError) -> bool:
    """Does it say how long the method takes? What failed at once would make the others look slow."""
    if isinstance(error, RemoteError):
        return error.status is not Status.UNAVAILABLE
    return error.reason in {"attempt_timeout", "deadline_exceeded"}


def _would_have(service: str, started: AttemptStarted, most: float) -> WouldHave:
    what = f"given the attempt up after {most * 1000:.0f} ms"
    return WouldHave(service, "attempt", what, "attempt_timeout", started.endpoint, started.method, started.request_id)
