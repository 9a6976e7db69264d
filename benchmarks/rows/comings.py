"""Replicas and registries come and go as they do when software is renewed."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from benchmarks.figures import p99
from benchmarks.load import OK, Load
from benchmarks.replicas import Replica, replicas
from benchmarks.report import Figures, at_most
from benchmarks.row import Row
from benchmarks.scale import Scale
from benchmarks.ways import Entered
from benchmarks.work import Options

COUNT, RESTARTS, AWAY = 3, 20, 60.0
PAUSE = 1.0  # seconds between two restarts: the new one must be known before the next one goes
FAILED = "failed calls"


@asynccontextmanager
async def registered(scale: Scale, entered: Entered, rate: float) -> AsyncIterator[tuple[Replica, list[Replica], Load]]:
    """A registry, replicas that it knows, and a load for them."""
    async with AsyncExitStack() as running:
        (registry,) = await running.enter_async_context(replicas(1, Options(registry=True)))
        options = Options(registries=(registry.address,))
        known = await running.enter_async_context(replicas(COUNT, options))
        addresses = [replica.address for replica in known]
        way = await running.enter_async_context(entered(addresses, scale, options.registries))
        yield registry, known, Load(way, rate, scale.rng("load"))


async def restarts(scale: Scale, entered: Entered) -> Figures:
    """One run: each replica in turn is told to stop, and starts where it was."""
    times = max(2, scale.size(RESTARTS))
    rate = scale.rate(3.0 * times)
    async with registered(scale, entered, rate) as (_, known, load):

        async def fate() -> None:
            for number in range(times):
                await asyncio.sleep(PAUSE)
                await known[number % COUNT].end(signal.SIGTERM)
                await known[number % COUNT].start()
            await asyncio.sleep(PAUSE)
            load.enough()

        await asyncio.gather(load.run(), fate())
    return {"restarts": times, **_figures(load, rate)}


async def registry_away(scale: Scale, entered: Entered) -> Figures:
    """One run: the registry is killed, and starts again much later, knowing nothing."""
    away, around = scale.time(AWAY, 3.5), scale.time(4, 1)
    rate, seconds = scale.rate(away + around), scale.seconds(away + around)
    async with registered(scale, entered, rate) as (registry, _, load):

        async def fate() -> None:
            await asyncio.sleep(around / 2)
            await registry.end()
            await asyncio.sleep(seconds - around)
            await registry.start()

        await asyncio.gather(load.run(seconds), fate())
    return {"seconds away": seconds - around, **_figures(load, rate)}


def _figures(load: Load, rate: float) -> dict[str, float]:
    return {
        "calls": len(load.made),
        "calls a second": rate,
        FAILED: sum(each.outcome != OK for each in load.made),
        "p99, ms": p99(load.made),
    }


ROLLING = Row(
    "restarts",
    "20 rolling restarts of three replicas under load",
    restarts,
    (at_most(FAILED, 0),),
)
REGISTRY_AWAY = Row(
    "registry-away",
    "the registry is away for 60 s",
    registry_away,
    (at_most(FAILED, 0),),
    ways=("mesh",),
)
