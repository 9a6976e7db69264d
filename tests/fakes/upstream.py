"""A service as the gateway sees it: keeps what it is asked, and answers as a test says."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mesh.call import Reply, methods_of
from mesh.endpoints import EndpointState
from mesh.errors import MeshError
from protos.codec import Codec
from protos.generated.caremesh import v1 as pb
from protos.generated.levels import LEVELS

STAMP: dict[str, Any] = {
    "version": 1,
    "created_at": "2026-03-17T08:42:10.250113Z",
    "updated_at": "2026-03-17T08:42:10.250113Z",
    "updated_by": "local",
}
SERVING = EndpointState(
    address="127.0.0.1:50051",
    available=True,
    probe="serving",
    breaker="closed",
    breaker_reason="new",
    ejection="in rotation",
    ejection_reason="new",
    weight=1.0,
    in_flight=0,
    latency_ms=2.5,
)
DOWN = SERVING._replace(
    address="127.0.0.1:50052",
    available=False,
    probe="unreachable",
    breaker="open",
    breaker_reason="5 failures in a row",
    latency_ms=None,
)

METHODS = methods_of(pb.PatientRecordsServiceBase, LEVELS) | methods_of(pb.PrescriptionManagementServiceBase, LEVELS)


@dataclass(frozen=True)
class Asked:
    """One call."""

    method: str
    message: Any
    timeout: float
    metadata: Mapping[str, str]
    scope: str
    request_id: str
    cached: bool = True


class FakeService:
    """Writes come back as they were sent, with an id; reads find one thing; `outcome` may say otherwise.

    Messages go through the real codec, so what it refuses is refused here too.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self.asked: list[Asked] = []
        self.outcome: Callable[[str, Any], Any] = lambda _method, _message: None
        self.states = [SERVING]
        self.stuck = False

    def fails(self, error: BaseException) -> None:
        """From now on every call ends so."""

        def outcome(_method: str, _message: Any) -> Any:
            raise error

        self.outcome = outcome

    def endpoints(self) -> list[EndpointState]:
        return self.states

    async def call(
        self,
        method: str,
        message: Any,
        *,
        timeout: float,
        metadata: Mapping[str, str],
        scope: str,
        request_id: str,
        cached: bool,
    ) -> Reply:
        types = METHODS[method]
        codec = Codec()
        message = codec.decode(codec.encode(message, types.request), types.request)
        self.asked.append(Asked(method, message, timeout, metadata, scope, request_id, cached))
        if self.stuck:
            await asyncio.Event().wait()
        given = self.outcome(method, message)
        return Reply(given if given is not None else _answer(types.reply, message))


def _answer(reply: type, message: Any) -> Any:
    if reply is pb.RecordPage:
        return pb.RecordPage(items=[pb.PatientRecord(record_id=12, patient_id=message.patient_id, **STAMP)])
    if reply is pb.PrescriptionPage:
        return pb.PrescriptionPage(items=[pb.Prescription(prescription_id=41, patient_id=message.patient_id, **STAMP)])
    if reply not in (pb.PatientRecord, pb.Prescription):
        return reply()
    key = "record_id" if reply is pb.PatientRecord else "prescription_id"
    fields = vars(message) if isinstance(message, reply) else {"patient_id": message.patient_id}
    number = getattr(message, key) or 12
    return reply(
        **{**{name: value for name, value in fields.items() if not name.startswith("_")}, **STAMP, key: number}
    )


def every_mesh_error() -> list[type[MeshError]]:
    """MeshError and all its subclasses, however deep."""
    found: list[type[MeshError]] = [MeshError]
    for one in found:
        found += one.__subclasses__()
    return found
