"""What the answers to an endpoint's probes mean."""

import time
from random import Random

import pytest

from mesh.call import Call, Reply
from mesh.clock import Clock, SystemClock
from mesh.decide.attempt_time import AttemptTimes
from mesh.endpoints import Endpoint
from mesh.errors import MeshError, RemoteError, Unreachable
from mesh.policy import AttemptPolicy, Policy
from mesh.status import Status
from mesh.testing import TurnedClock
from tests.fakes.mesh import Recorded, Scripted, never


class Far(Scripted):
    """A wire that fails by its script, and is silent where that is used up."""

    standing_still = 0.0

    async def __call__(self, call: Call) -> Reply:
        if self.script:
            return await super().__call__(call)
        time.sleep(self.standing_still)  # noqa: ASYNC251  # all of this process does
        return await never(call)

    def close(self) -> None:
        """Nothing is open."""

    def close_when_idle(self) -> None:
        """Nothing is open."""


def probed(far: Far, clock: Clock, interval: float = 1.0) -> Endpoint:
    policy, times = Policy(probe_interval=interval), AttemptTimes(AttemptPolicy())
    return Endpoint("echo", "a:1", policy, times, far, clock, Random(1), Recorded())


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (Unreachable("closed port"), "unreachable"),
        (RemoteError(Status.UNIMPLEMENTED, "no such method"), "serving"),
        (RemoteError(Status.UNAVAILABLE, "not now"), "not_serving"),
        (RemoteError(Status.NOT_FOUND, "no such service"), "not_serving"),
    ],
)
async def test_what_a_probe_ends_in_is_what_is_known(error: MeshError, found: str) -> None:
    """Whoever answers can be reached. Who does not know probes is called all the same (gRFC A17): most do not."""
    endpoint = probed(Far(error), TurnedClock())
    await endpoint.probe()
    assert (endpoint.state().probe, endpoint.well) == (found, found == "serving")


async def test_a_far_side_that_answers_that_it_was_too_late_is_silent_once() -> None:
    """It is at work, and busy, as one whose answer is a moment later still."""
    late = RemoteError(Status.DEADLINE_EXCEEDED, "late")
    endpoint = probed(Far(late, late), TurnedClock())
    await endpoint.probe()
    assert endpoint.well
    await endpoint.probe()
    assert endpoint.state().probe == "unreachable"


@pytest.mark.parametrize(("still", "well"), [(0.0, False), (0.2, True)])
async def test_a_silence_while_this_process_stood_still_is_none(still: float, *, well: bool) -> None:
    """Else a busy machine finds all of its replicas unreachable at once, whose answers it has not yet read."""
    far = Far()
    far.standing_still = still
    endpoint = probed(far, SystemClock(), interval=0.05)
    for _ in range(2):
        await endpoint.probe()
    assert endpoint.well is well
