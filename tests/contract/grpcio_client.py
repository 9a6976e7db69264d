"""Google's gRPC client in a process of its own, with stubs made from the same .proto files.

    python grpcio_client.py STUBS '{"caremesh.v1.PatientRecordsService": "127.0.0.1:50051", …}'

Calls every method there is and prints what each of them answered, as one JSON object.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict

sys.path.insert(0, sys.argv[1])
records, prescriptions, registry, health = map(
    import_module, ("records_pb2", "prescriptions_pb2", "registry_pb2", "health_pb2")
)

DEADLINE = 10  # seconds
RECORDS, PRESCRIPTIONS = "caremesh.v1.PatientRecordsService", "caremesh.v1.PrescriptionManagementService"
REGISTRY, HEALTH = "mesh.registry.v1.ServiceRegistry", "grpc.health.v1.Health"
TEXT = "přelom ٣ 骨折 🩻"
PATIENT = 2147483001

Told = dict[str, Any]


def main(addresses: dict[str, str]) -> Told:
    channels = {service: grpc.insecure_channel(address) for service, address in addresses.items()}
    told: Told = {}
    told |= of_records(stub("records", RECORDS, channels[RECORDS]))
    told |= of_prescriptions(stub("prescriptions", PRESCRIPTIONS, channels[PRESCRIPTIONS]))
    told |= of_registry(stub("registry", REGISTRY, channels[REGISTRY]))
    told |= of_health({name: stub("health", HEALTH, channel) for name, channel in channels.items()})
    for channel in channels.values():
        channel.close()
    return told


def stub(file: str, service: str, channel: Any) -> Any:
    """A stub as the compiler made it from `file`.proto."""
    made = getattr(import_module(f"{file}_pb2_grpc"), f"{service.rpartition('.')[2]}Stub")
    return made(channel)


def of_records(stub: Any) -> Told:
    call, told = caller(stub, RECORDS)
    new = records.PatientRecord(
        patient_id=PATIENT, doctor_id=3, record_text=TEXT, date="2024-02-29", source_id="grpcio"
    )
    made = call("PostPatientRecords", new)
    one = records.PatientRecordRequest(record_id=made.record_id, patient_id=PATIENT)
    call("GetPatientRecord", one)
    made.record_text += "!"
    call("PutPatientRecords", made)
    page = records.PatientRecordRequest(patient_id=PATIENT, limit=10)
    call("GetPatientRecords", page)
    reads = [records.RecordPageRead(request=asked) for asked in (page, records.PatientRecordRequest())]
    told |= answered(stub, RECORDS, "BatchGetPatientRecords", records.RecordPageReads(items=reads))
    call("DeletePatientRecords", one)
    call("GetPatientRecordHistory", one)
    call("CheckHealth", Empty())
    told["deleted record"] = refusal(lambda: stub.GetPatientRecord(one, timeout=DEADLINE))
    told["bad record"] = refusal(lambda: stub.PostPatientRecords(records.PatientRecord(), timeout=DEADLINE))
    return told


def of_prescriptions(stub: Any) -> Told:
    call, told = caller(stub, PRESCRIPTIONS)
    medication = prescriptions.Medication(medication_name=TEXT, quantity="2.5", refills=0)
    new = prescriptions.Prescription(patient_id=PATIENT, doctor_id=3, medications=[medication], written_on="2024-02-29")
    made = call("PostPatientPrescription", new)
    one = prescriptions.PrescriptionRequest(prescription_id=made.prescription_id, patient_id=PATIENT)
    call("GetPrescription", one)
    made.patient_name = TEXT
    call("PutPatientPrescription", made)
    page = prescriptions.PatientRequest(patient_id=PATIENT, limit=10)
    call("GetPatientPrescriptions", page)
    reads = [prescriptions.PrescriptionPageRead(request=asked) for asked in (page, prescriptions.PatientRequest())]
    batch = prescriptions.PrescriptionPageReads(items=reads)
    told |= answered(stub, PRESCRIPTIONS, "BatchGetPatientPrescriptions", batch)
    call("DeletePatientPrescription", one)
    call("GetPrescriptionHistory", one)
    call("GetDeliveries", one)
    call("CheckHealth", Empty())
    return told


def of_registry(stub: Any) -> Told:
    call, told = caller(stub, REGISTRY)
    info = registry.ServiceRegistrationInfo(service_name="grpcio", ip_address="127.0.0.1", port=9, metadata=TEXT)
    watching = stub.Watch(registry.WatchRequest(service_name="grpcio"), timeout=DEADLINE)
    before = next(watching)
    lease = call("Register", info)
    after = next(seen for seen in watching if seen.endpoints)
    told[f"/{REGISTRY}/Watch"] = [plain(before), plain(after)]
    watching.cancel()
    call("Renew", lease)
    call("Deregister", lease)
    told["unknown lease"] = refusal(lambda: stub.Renew(lease, timeout=DEADLINE))
    return told


def of_health(stubs: dict[str, Any]) -> Told:
    told: Told = {f"/{HEALTH}/Check": {}, f"/{HEALTH}/Watch": {}}
    for service, stub in stubs.items():
        for name in ("", service):
            asked = health.HealthCheckRequest(service=name)
            told[f"/{HEALTH}/Check"][f"{service} {name}"] = plain(stub.Check(asked, timeout=DEADLINE))
            watching = stub.Watch(asked, timeout=DEADLINE)
            told[f"/{HEALTH}/Watch"][f"{service} {name}"] = plain(next(watching))
            watching.cancel()
        missing = health.HealthCheckRequest(service="no.such.Service")
        told[f"{service} missing"] = refusal(partial(stub.Check, missing, timeout=DEADLINE))
    return told


def caller(stub: Any, service: str) -> tuple[Callable[[str, Any], Any], Told]:
    told: Told = {}

    def call(method: str, message: Any) -> Any:
        reply = getattr(stub, method)(message, timeout=DEADLINE)
        told[f"/{service}/{method}"] = plain(reply)
        return reply

    return call, told


def answered(stub: Any, service: str, method: str, message: Any) -> Told:
    """The answers to requests that travel together, in the order of the requests."""
    found = [one for answers in getattr(stub, method)(message, timeout=DEADLINE) for one in answers.items]
    return {f"/{service}/{method}": [plain(one) for one in sorted(found, key=lambda one: one.number)]}


def plain(message: Any) -> Told:
    return dict(MessageToDict(message, preserving_proto_field_name=True))


def refusal(call: Callable[[], Any]) -> str:
    try:
        call()
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[2]))))
