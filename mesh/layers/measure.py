"""Measures what an endpoint has to do and how well it does it."""

from mesh.call import Call, Handler, Layer, Reply
from mesh.clock import Clock
from mesh.decide.circuit import Outcome
from mesh.decide.load import Load
from mesh.errors import MeshError, Rejected, RemoteError, Unreachable
from mesh.layers.breaker import judged
from mesh.status import Status

FAULTS = frozenset({Status.INTERNAL, Status.UNKNOWN, Status.DATA_LOSS})
"""Answers that must not draw calls by coming quickly; alone they take none away."""


def measure(load: Load, failure: float, clock: Clock) -> Layer:
    """Tells `load` of each call; one that failed counts as at least `failure` seconds."""

    def layer(following: Handler) -> Handler:
        async def handler(call: Call) -> Reply:
            begun = clock.now()
            silent = load.begin(begun)
            try:
                reply = await following(call)
            except MeshError as error:
                now = clock.now()
                _failed(load, error, failure, now - begun, now)
                raise
            except BaseException:
                now = clock.now()
                load.gave_up(now - begun, now)
                raise
            finally:
                load.in_flight -= 1
            now = clock.now()
            load.answered(now - begun, now, silent=silent)
            return reply

        return handler

    return layer


def _failed(load: Load, error: MeshError, failure: float, took: float, now: float) -> None:
    if isinstance(error, Rejected) and not isinstance(error, Unreachable):
        return  # not begun with, which says nothing of how it would have gone
    outcome = judged(error)
    if outcome is Outcome.FAILED or error.early:
        load.failed(max(failure, took), now)
    elif not isinstance(error, RemoteError):
        load.gave_up(took, now)
    elif error.pushback is not None:
        load.failed(max(error.pushback if error.pushback >= 0 else failure, took), now)
    elif error.status in FAULTS:
        load.failed(took, now)
    elif outcome is Outcome.SUCCEEDED:
        load.answered(took, now)
    else:
        load.gave_up(took, now)
