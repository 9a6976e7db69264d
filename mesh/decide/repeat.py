"""Whether a failed call is made again, when, and if not, why not."""

from typing import Literal, NamedTuple

from mesh.call import Call
from mesh.errors import OVERLOADED, DeadlineExceeded, Lost, MeshError, NoEndpoint, Refused, Rejected, RemoteError
from mesh.status import Status

WhyNot = Literal[
    "answered",  # an answer, though not a glad one: the next would be the same
    "not_repeatable",  # it may have been carried out, and to do it twice may do harm
    "attempts_spent",
    "left_to_caller",  # the call being handled will itself be made again
    "pushback",  # the far side does not want it again, or not so soon
    "nobody_available",  # nobody can be expected to be there so soon
    "no_time_left",
    "budget_spent",
    "in_shadow",  # retries only tell what they would do
]
"""Why a failed call is not made again."""


class Again(NamedTuple):
    """Another attempt follows.

    Attributes:
        delay: seconds from now.
        free: it costs the budget nothing, since the far side says that it did nothing yet.
    """

    delay: float
    free: bool = False


def repeat(call: Call, error: MeshError, attempts: int, pause: float, now: float, budget: float) -> Again | WhyNot:
    """What follows on a failed attempt.

    Args:
        call: as it was last made.
        error: what it ended in.
        attempts: at the most, the first included.
        pause: seconds, where nobody asks for others.
        now: seconds of the clock that the call's deadline is in.
        budget: so many retries are left.
    """
    asked = error.pushback if isinstance(error, RemoteError) else None
    if _full(error) and call.attempt == 1 and not error.alone:
        asked, pause = None, 0.0  # its pushback is about itself: the others may have room
    delay = pause if asked is None else asked
    free = isinstance(error, Refused) and call.attempt == 1
    why = _forbidden(call, error, attempts) or _untimely(error, asked, delay, call.deadline - now)
    if why is None and not free and budget < 1:
        return "budget_spent"
    return why or Again(delay, free)


def harmless(call: Call, error: MeshError) -> bool:
    """May a call that ended so be made again at all?

    What was never begun with, always, be it that the far side had too much to do; what was lost or found nobody at
    work, only if doing it twice is harmless.
    """
    if isinstance(error, Rejected) or _full(error):
        return True
    failed = isinstance(error, Lost) or (isinstance(error, RemoteError) and error.status is Status.UNAVAILABLE)
    return failed and call.repeatable


def _full(error: MeshError) -> bool:
    return isinstance(error, RemoteError) and error.status is Status.UNAVAILABLE and error.code == OVERLOADED


def _forbidden(call: Call, error: MeshError, attempts: int) -> WhyNot | None:
    if isinstance(error, DeadlineExceeded):
        return "no_time_left"
    if isinstance(error, RemoteError) and error.status is not Status.UNAVAILABLE:
        return "answered"
    if not harmless(call, error):
        return "not_repeatable"
    if call.outer:
        return "left_to_caller"
    return "attempts_spent" if call.attempt >= attempts else None


def _untimely(error: MeshError, asked: float | None, delay: float, left: float) -> WhyNot | None:
    if asked is not None:
        return None if 0 <= delay < left else "pushback"
    if isinstance(error, NoEndpoint) and (error.retry_after or 0.0) > delay:
        return "nobody_available"
    return None if delay < left else "no_time_left"
