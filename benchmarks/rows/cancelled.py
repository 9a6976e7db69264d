"""Callers that give up at any moment: nothing may stay behind, and nobody may get another's answer."""

import asyncio
from collections.abc import Iterator

from benchmarks.replicas import Replica, replicas
from benchmarks.report import Figures, at_most
from benchmarks.row import Row
from benchmarks.scale import Scale
from benchmarks.state import state
from benchmarks.ways import Entered, Mesh, Way
from mesh.transport import Transport
from mesh.transport.protocol import Protocol

CALLS, CALLERS = 100_000, 32
SIZES = 4_000  # bytes of a request, at the most
PATIENCES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 5.0)  # seconds after which a caller gives up
TRIES = 40  # looks, in which streams may still end
WARM = 0.2  # the share of the calls after which memory is looked at first
WRONG = "answers to the wrong caller"
STREAMS = "streams left, on both sides"
MISSING = "bytes missing in windows, on both sides"
MEMORY = "memory more than after a fifth, MB"


class Impatient:
    """Callers that give up."""

    def __init__(self, way: Way, scale: Scale) -> None:
        self._way, self._rng = way, scale.rng("calls")
        self.cancelled = self.answered = self.wrong = self.failed = 0

    async def give_up(self, times: int) -> None:
        """Returns once so many calls have been given up."""
        await asyncio.gather(*(self._caller(name, times) for name in range(CALLERS)))

    async def _caller(self, name: int, times: int) -> None:
        number = 0
        while self.cancelled < times:
            number += 1
            message = f"{name}/{number}/".encode() + self._rng.randbytes(self._rng.randrange(SIZES))
            try:
                async with asyncio.timeout(self._rng.choice(PATIENCES)):
                    answer = await self._way.call("Read", message)
            except TimeoutError:
                self.cancelled += 1
            except Exception:  # noqa: BLE001  # each way fails in words of its own
                self.failed += 1
            else:
                self.answered += 1
                self.wrong += answer != message


async def cancelled(scale: Scale, entered: Entered) -> Figures:
    """One run."""
    times = scale.size(CALLS)
    async with replicas(1) as (replica,), entered([replica.address], scale) as way:
        impatient = Impatient(way, scale)
        await impatient.give_up(round(WARM * times))
        before = await _held(replica, way)
        await impatient.give_up(times)
        after = await _held(replica, way)
    return {
        "calls": impatient.cancelled + impatient.answered + impatient.failed,
        "given up": impatient.cancelled,
        "answered": impatient.answered,
        "failed": impatient.failed,
        WRONG: impatient.wrong,
        STREAMS: after["streams"],
        MISSING: after["missing"],
        MEMORY: after["memory"] - before["memory"],
    }


async def _held(replica: Replica, way: Way) -> dict[str, float]:
    """What both sides hold, once they have had the time to let go of it."""
    await way.call("Read", b"the last")
    way.attempts.clear()
    for _ in range(TRIES):
        await asyncio.sleep(0.25)
        theirs, ours = await replica.behave(), state(_links(way))
        if not (theirs["streams"] or ours["streams"]):
            break
    return {name: theirs[name] + ours[name] for name in ours}


def _links(way: Way) -> Iterator[Protocol]:
    if isinstance(way, Mesh):
        for endpoint in way.client._pool.known():
            assert isinstance(endpoint._wire, Transport)
            yield from endpoint._wire._channel._links


CANCELLED = Row(
    "cancelled",
    "100,000 calls are given up at any moment",
    cancelled,
    (at_most(WRONG, 0), at_most(STREAMS, 0), at_most(MISSING, 0), at_most(MEMORY, 4)),
    ways=("mesh",),
)
