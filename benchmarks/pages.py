"""Pages of records out of memory, by a process of its own that ends when its input does.

`python -m benchmarks.pages OPTIONS`. One patient's pages are slow, one's are refused.
"""

import asyncio
import json
import sys

import uvloop

from benchmarks.work import Options
from mesh.events import Events
from mesh.server import Health, Server, StatusError
from mesh.status import Status
from protos.codec import Codec
from protos.generated.caremesh import v1 as pb

SERVICE = "records"
SLOW, FAILING = 1_000_001, 1_000_002
"""Patients."""
SLOWLY = 0.5  # seconds
ROWS = 10


class Pages(pb.PatientRecordsServiceBase):
    """Takes so many seconds for a page that is neither."""

    def __init__(self, work: float) -> None:
        self._work = work

    async def get_patient_records(self, message: pb.PatientRecordRequest) -> pb.RecordPage:
        patient_id = message.patient_id
        if patient_id == FAILING:
            raise StatusError(Status.NOT_FOUND, "there is no such patient", code="DELETED")
        await asyncio.sleep(SLOWLY if patient_id == SLOW else self._work)
        rows = range(ROWS)
        return pb.RecordPage(
            [pb.PatientRecord(n + 1, patient_id, n + 2, f"text {n} " * 20, "2024-02-29") for n in rows]
        )


async def serve(options: Options) -> None:
    """Serves until nobody writes to its input any more."""
    server = Server([Pages(options.work)], port=options.port, health=Health(), events=Events(), codec=Codec())
    async with server:
        print(server.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(serve(Options(**json.loads(sys.argv[1]))))
