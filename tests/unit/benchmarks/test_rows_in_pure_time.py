"""The rows that are about decisions, over replicas in memory and in pure time: their times are asserted, too.

A busy machine cannot blur them, so that what breaks here is a decision of the mesh.
"""

import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest

from benchmarks.row import Row
from benchmarks.rows.all_of_them import ALL_FAIL, ALL_SILENT
from benchmarks.rows.one_of_them import FAILS_HALF, KILLED, REFUSES, SLOW, STOPPED
from benchmarks.rows.overloaded import THRICE, TIMING_OUT, TWICE
from benchmarks.scale import Scale
from benchmarks.ways import Mesh, policy
from benchmarks.work import METHODS, SERVICE, Behaviour, Options, Work
from mesh.client import ServiceClient
from mesh.events import Events
from mesh.policy import AdmissionPolicy
from mesh.testing import InMemory, LoopClock, Replica, in_pure_time

SCALE = Scale(share=0.3, saturation=1_000)


class Played:
    """A replica in memory as the rows want it."""

    def __init__(self, replica: Replica, work: Work) -> None:
        self.address, self._replica, self._work = replica.address, replica, work

    async def start(self) -> None:
        self._replica.start()

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        self._replica.kill()

    def send(self, number: signal.Signals) -> None:
        {signal.SIGSTOP: self._replica.hold, signal.SIGCONT: self._replica.go_on}[number]()

    async def behave(self, **behaviour: object) -> dict[str, float]:
        self._work.behaviour = replace(self._work.behaviour, **behaviour)  # type: ignore[arg-type]
        return {"limit": self._replica.admission.limit} if self._replica.admission else {}


class Stage:
    """Replicas in memory, and the mesh as a way to call them."""

    @asynccontextmanager
    async def __call__(self, count: int, options: Options) -> AsyncIterator[Sequence[Played]]:
        works = [Work(Behaviour(work=options.work), Random(number), options.workers) for number in range(count)]
        made, addresses = iter(works), [f"{number}:1" for number in range(count)]
        admission = AdmissionPolicy() if options.admission else None
        self._service = InMemory(lambda: [next(made)], addresses, clock=LoopClock(), admission=admission)
        for number, replica in enumerate(self._service.replicas.values()):
            draws = Random(f"network {number}")
            replica.latency = lambda draws=draws: draws.lognormvariate(-7.5, 0.8)  # type: ignore[misc]  # 0.5 ms or so
        yield [Played(replica, work) for replica, work in zip(self._service.replicas.values(), works, strict=True)]

    @asynccontextmanager
    async def mesh(self, addresses: Sequence[str], scale: Scale, registries: Sequence[str] = ()) -> AsyncIterator[Mesh]:
        events, service = Events(), self._service
        async with ServiceClient(
            SERVICE,
            methods=METHODS,
            source=service,
            connect=service.connect,
            events=events,
            policy=policy(scale),
            clock=LoopClock(),
            rng=scale.rng("mesh"),
        ) as client:
            await client.ready()
            yield Mesh(client, events, scale)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "row",
    [KILLED, STOPPED, REFUSES, FAILS_HALF, SLOW, ALL_FAIL, ALL_SILENT, TWICE, THRICE, TIMING_OUT],
    ids=lambda row: row.name,
)
def test_a_row_is_kept_in_its_counts_and_in_its_times(row: Row, seed: int) -> None:
    """Out of rotation in time, back to the old latency in time, no second outage: with the policy that one gets."""
    stage = Stage()
    staged = replace(row, measure=replace(row.measure, stage=stage))  # type: ignore[type-var]

    async def run() -> list[str]:
        figures = await staged.measure(replace(SCALE, seed=seed), stage.mesh)
        return [f"{bound.figure}: {figures}" for bound in row.bounds if not bound.holds(figures)]

    assert in_pure_time(run()) == []
