"""Reads that are made at the same moment travel as one call: nobody may notice it of his neighbours."""

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from benchmarks.figures import percentile
from benchmarks.pages import FAILING, SERVICE, SLOW
from benchmarks.replicas import PATIENCE, replicas
from benchmarks.report import Figures, at_least, at_most, times_before
from benchmarks.row import Row
from benchmarks.scale import FULL, Scale
from benchmarks.ways import Entered, policy
from benchmarks.work import Options
from mesh.batch import Batch, batches_of
from mesh.call import methods_of
from mesh.client import ServiceClient
from mesh.endpoints import Static
from mesh.errors import MeshError
from mesh.events import Batched, Events
from mesh.timing import SERVER_TIMING
from protos.codec import Codec
from protos.generated.caremesh import v1 as pb
from protos.generated.levels import LEVELS

TOGETHER = 32
LATE = SLOW  # with 20 ms left
LITTLE = 0.02 + 0.05  # seconds: of a caller's time the mesh keeps 50 ms for itself
ANSWERED, DIFFERENT = "of the 29 answered, %", "answers that differ from unbatched"
AS_ONE = "reads that travelled as one call of 32, %"
P99, P99_ALONE = "p99 of the 29, ms", "p99 of the 29 unbatched, ms"
ON_TIME = "with 20 ms left, told late after, ms"

ANSWERS = ("ok", "status_not_found")
"""What unbatched ended otherwise says nothing of batches: the machine stood still."""

Told = tuple[Any, ...]


class Reads:
    """Rounds of 32 reads, all made at the same moment.

    Attributes:
        took: seconds of each of the 29 that are neither slow, refused nor out of time.
        late: seconds after which the one with little time was told so.
        as_one: reads that travelled with all others of their round.
    """

    def __init__(self, client: ServiceClient, events: Events, patience: float) -> None:
        self._client, self._patience = client, patience
        self.took, self.late, self.as_one = list[float](), list[float](), 0
        events.subscribe(self._hear)

    async def round(self, first: int) -> list[Told]:
        """What each of the 29 and the refused one got."""
        begun = perf_counter()
        slow = asyncio.ensure_future(self._told(SLOW, begun))
        late = asyncio.ensure_future(self._told(LATE, begun, LITTLE))
        others = [asyncio.ensure_future(self._told(first + number, begun)) for number in range(TOGETHER - 3)]
        refused = asyncio.ensure_future(self._told(FAILING, begun))
        told = [await each for each in (*others, refused, late, slow)]
        self.took += [each[-1] for each in told[: TOGETHER - 3]]
        self.late.append(told[-2][-1])
        return [each[:-1] for each in told[: TOGETHER - 2]]

    def forget(self) -> None:
        """Only what comes now counts."""
        self.took.clear()
        self.late.clear()
        self.as_one = 0

    async def _told(self, patient_id: int, begun: float, timeout: float | None = None) -> Told:
        message = pb.PatientRecordRequest(patient_id=patient_id)
        told: Told
        try:
            reply = await self._client.call("GetPatientRecords", message, timeout=timeout or 2.0 * self._patience)
            headers = {name: value for name, value in reply.headers.items() if name != SERVER_TIMING}
            told = ("ok", Codec().encode(reply.message, pb.RecordPage), headers)
        except MeshError as error:
            told = (error.reason, str(error), getattr(error, "code", ""))
        return (*told, perf_counter() - begun)

    def _hear(self, event: object) -> None:
        self.as_one += isinstance(event, Batched) and event.calls == TOGETHER


async def batched(scale: Scale, entered: Entered) -> Figures:  # noqa: ARG001  # both ways are measured, by turns
    """One run: each round together, and then the same one by one."""
    rounds = max(10, scale.size(FULL) // TOGETHER // 10)
    different, answered = 0, 0
    async with replicas(1, Options(work=0.002), "benchmarks.pages") as running:
        together, together_events = _client(running[0].address, scale, batches_of(pb.PatientRecordsServiceBase))
        alone, alone_events = _client(running[0].address, scale, {})
        async with together, alone:
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(together.ready(), alone.ready())
            one, other = (
                Reads(together, together_events, scale.patience),
                Reads(alone, alone_events, scale.patience),
            )
            for each in (one, other):
                await each.round(1)  # what is made once is made
                each.forget()
            for number in range(rounds):
                got, wanted = await one.round(1 + TOGETHER * number), await other.round(1 + TOGETHER * number)
                pairs = zip(got, wanted, strict=True)
                different += sum(each != right for each, right in pairs if right[0] in ANSWERS)
                answered += sum(each[0] == "ok" for each in got)
    return {
        "calls": TOGETHER * rounds,
        ANSWERED: 100.0 * answered / (rounds * (TOGETHER - 3)),
        DIFFERENT: different,
        AS_ONE: 100.0 * one.as_one / (rounds * TOGETHER),
        "p50 of the 29, ms": percentile(one.took, 0.5) * 1_000,
        "p50 of the 29 unbatched, ms": percentile(other.took, 0.5) * 1_000,
        P99: percentile(one.took, 0.99) * 1_000,
        P99_ALONE: percentile(other.took, 0.99) * 1_000,
        ON_TIME: percentile(one.late, 0.99) * 1_000,
    }


def _client(address: str, scale: Scale, batches: Mapping[str, Batch]) -> tuple[ServiceClient, Events]:
    events, methods = Events(), methods_of(pb.PatientRecordsServiceBase, LEVELS)
    source, codec = Static([address]), Codec()
    return ServiceClient(
        SERVICE, methods=methods, source=source, events=events, codec=codec, policy=policy(scale), batches=batches
    ), events


TOGETHER_OR_ALONE = Row(
    "batch",
    "32 reads at the same moment, one of them slow (500 ms), one refused, one with 20 ms left",
    batched,
    (
        at_least(ANSWERED, 100),
        at_most(DIFFERENT, 0),
        at_least(AS_ONE, 100),
        times_before(P99, 1.0, P99_ALONE, least=20.0),
    ),
    ways=("mesh",),
)
