"""What the stack costs when nothing is wrong."""

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import process_time

from benchmarks.replicas import replicas
from benchmarks.report import Figures, Kind, at_most
from benchmarks.row import Row
from benchmarks.scale import FULL, Scale
from benchmarks.ways import Attempt, Entered, Way, mesh, plain
from benchmarks.work import METHODS, Options, Raw
from mesh.call import Call
from mesh.clock import SystemClock
from mesh.transport import Transport

BLOCK = 200  # calls, short enough for whatever else the machine does to befall all ways alike
CALLERS = 8
ADDED = "CPU that the stack adds, µs a call"


class Wire:
    """The mesh's transport without its layers."""

    def __init__(self, transport: Transport, clock: SystemClock) -> None:
        self._transport, self._clock, self.attempts = transport, clock, list[Attempt]()

    async def call(self, method: str, message: bytes) -> bytes:
        deadline = self._clock.now() + Scale().timeout
        call = Call(method=METHODS[method], message=message, timeout=Scale().timeout, deadline=deadline)
        return bytes((await self._transport(call)).message)


@asynccontextmanager
async def _wire(address: str) -> AsyncIterator[Wire]:
    clock = SystemClock()
    transport = Transport(address, Raw(), clock)
    try:
        yield Wire(transport, clock)
    finally:
        transport.close()


async def _cpu(way: Way, calls: int) -> float:
    """Microseconds of this process's CPU a call."""
    left = calls

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await way.call("Read", b"a request")

    began = process_time()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    way.attempts.clear()
    return (process_time() - began) * 1e6 / calls


async def cost(scale: Scale, entered: Entered) -> Figures:  # noqa: ARG001  # all ways are measured, by turns
    """One run: blocks of calls by each way in turn; the median of the differences counts."""
    blocks = max(4, scale.size(FULL) // BLOCK)
    async with (
        replicas(1, Options(work=0)) as running,
        mesh([running[0].address], scale) as ours,
        _wire(running[0].address) as wire,
        plain([running[0].address], scale) as stubs,
    ):
        rounds = [[await _cpu(way, BLOCK) for way in (ours, wire, stubs)] for _ in range(1 + blocks)][1:]
    by_way = [statistics.median(each) for each in zip(*rounds, strict=True)]
    return {
        "calls": blocks * BLOCK,
        "CPU by the mesh, µs a call": by_way[0],
        "CPU by its transport alone, µs a call": by_way[1],
        "CPU by a bare stub, µs a call": by_way[2],
        ADDED: statistics.median(one - other for one, _, other in rounds),
    }


NOTHING_WRONG = Row(
    "nothing-wrong",
    "nothing is wrong: what the stack costs the caller against a bare stub",
    cost,
    (at_most(ADDED, 40, Kind.LATENCY),),
    ways=("mesh",),
)
