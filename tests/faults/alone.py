"""One service as a real process with nobody before it, and writers that call it directly."""

import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from mesh.call import Call
from mesh.clock import SystemClock
from mesh.transport import Transport
from protos.generated.caremesh import v1 as pb
from tests.fakes.waiting import wait_until
from tests.integration.services.serving import METHODS
from tests.stack import PACKAGES, START, Process, free_port

PATIENCE = 30.0  # seconds for one answer
DAY = "2024-02-29"


@contextmanager
def service(name: str, folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[tuple[Process, str]]:
    """The service "records" or "prescriptions" on an SQLite file in a folder, and its address.

    Raises:
        ChildProcessError: it has ended instead; the text is what it logged.
    """
    folder.mkdir(parents=True)
    port, reading, writing = free_port(), *os.pipe()
    told = {
        "CAREMESH_PORT": str(port),
        "CAREMESH_PROCESS": name,
        "CAREMESH_DATABASE": f"sqlite:///{folder / name}.db",
        "CAREMESH_REGISTRIES": f"127.0.0.1:{free_port()}",
        "CAREMESH_LOG_LEVEL": "error",
    }
    process = Process(name, PACKAGES[name], told | dict(settings or {}), folder / f"{name}.log", reading)
    try:
        process.start()
        assert process.running
        ended = process.running.poll
        wait_until(lambda: _listens(port) or ended() is not None, START)
        if ended() is not None:
            raise ChildProcessError(process.told)
        yield process, f"127.0.0.1:{port}"
    finally:
        if process.running:
            process.send(signal.SIGKILL)
        os.close(writing)
        os.close(reading)


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


class Writer:
    """Makes documents, replaces each once and deletes it: one write after the other, each acknowledged."""

    def __init__(self, name: str, number: int, transport: Transport) -> None:
        self._records, self._patient = name == "records", number
        self._transport, self._keys = transport, count(1)

    async def write(self, times: int) -> None:
        """So many writes. Raises what a refusal is told by."""
        key = 0
        for turn in range(times):
            if turn % 3 == 0:
                key = self._id(await self._call("Post", self._document()))
            elif turn % 3 == 1:
                await self._call("Put", self._document(key, 1))
            else:
                await self._call("Delete", self._named(key))

    async def _call(self, verb: str, message: Any) -> Any:
        noun = "PatientRecords" if self._records else "PatientPrescription"
        service = "PatientRecordsService" if self._records else "PrescriptionManagementService"
        clock, metadata = SystemClock(), {"idempotency-key": f"{self._patient}-{next(self._keys)}"}
        method = METHODS[f"caremesh.v1.{service}/{verb}{noun}"]
        ends = clock.now() + PATIENCE
        call = Call(method=method, message=message, timeout=PATIENCE, deadline=ends, metadata=metadata)
        return (await self._transport(call)).message

    def _document(self, key: int = 0, version: int = 0) -> Any:
        whose: dict[str, Any] = {"patient_id": self._patient, "doctor_id": 1, "version": version}
        if self._records:
            return pb.PatientRecord(record_id=key, record_text="x", date=DAY, **whose)
        medications = [pb.Medication(medication_name="x")]
        return pb.Prescription(prescription_id=key, medications=medications, written_on=DAY, **whose)

    def _named(self, key: int) -> Any:
        return pb.PatientRecordRequest(record_id=key) if self._records else pb.PrescriptionRequest(prescription_id=key)

    def _id(self, answer: Any) -> int:
        return int(answer.record_id if self._records else answer.prescription_id)
