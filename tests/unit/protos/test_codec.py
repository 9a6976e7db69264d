"""The codec against betterproto2, whose messages it carries, and against Google's protobuf, which is right."""

from typing import Any

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import Unreadable
from mesh.wire.grpc.health import v1 as health
from protos.codec import Codec
from protos.generated.caremesh import v1 as pb
from tests.fakes.protos import described

codec = Codec()
texts = st.text(max_size=40)
numbers = st.integers(-(2**31), 2**31 - 1)
medications = st.builds(
    pb.Medication,
    medication_name=texts,
    sig=texts,
    days_supply=st.none() | numbers,
    refills=st.none() | numbers,
)
prescriptions = st.builds(
    pb.Prescription,
    prescription_id=numbers,
    patient_id=numbers,
    medications=st.lists(medications, max_size=4),
    status=texts,
    prescriber_address=texts,
)


@pytest.fixture(scope="module")
def google() -> type[Message]:
    pool = descriptor_pool.DescriptorPool()
    from google.protobuf import any_pb2, empty_pb2

    for known in (any_pb2, empty_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    for file in described().file:
        pool.AddSerializedFile(file.SerializeToString())
    found: type[Message] = message_factory.GetMessageClass(pool.FindMessageTypeByName("caremesh.v1.Prescription"))
    return found


@given(message=prescriptions)
def test_what_is_written_is_what_betterproto2_and_google_would_write_and_reads_back(
    google: type[Message], message: pb.Prescription
) -> None:
    """A fast codec that differs from the format in one byte talks to nobody."""
    data = codec.encode(message, pb.Prescription)
    assert data == bytes(message)
    assert google.FromString(data).SerializeToString(deterministic=True) == data
    assert codec.decode(data, pb.Prescription) == message


@given(message=prescriptions, data=st.data())
def test_damaged_bytes_are_read_as_google_reads_them_or_refused(
    google: type[Message], message: pb.Prescription, data: st.DataObject
) -> None:
    """betterproto2 takes bytes that end early for whole ones and a number for a text."""
    written = bytearray(codec.encode(message, pb.Prescription))
    for _ in range(data.draw(st.integers(1, 3))):
        if written:
            position = data.draw(st.integers(0, len(written) - 1))
            written[position] = data.draw(st.integers(0, 255))
    damaged = bytes(written[: data.draw(st.integers(0, len(written)))])
    try:
        read = codec.decode(damaged, pb.Prescription)
    except Unreadable:
        return
    try:
        theirs: Any = google.FromString(damaged)
    except DecodeError:
        pytest.fail("Google's protobuf refuses these bytes")
    assert read.patient_id == theirs.patient_id
    assert read.status == theirs.status
    assert [m.medication_name for m in read.medications] == [m.medication_name for m in theirs.medications]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (pb.PatientRecord(patient_id=2**31), "PatientRecord.patient_id"),
        (pb.PatientRecord(patient_id=4294967303), "PatientRecord.patient_id"),
        (pb.PatientRecord(record_id=-(2**31) - 1), "PatientRecord.record_id"),
        (pb.PatientRecord(record_id="7"), "PatientRecord.record_id"),  # type: ignore[arg-type]
        (pb.PatientRecord(record_id=True), "PatientRecord.record_id"),
        (pb.PatientRecord(record_text="\ud800"), "PatientRecord.record_text"),
        (pb.PatientRecord(record_text=7), "PatientRecord.record_text"),  # type: ignore[arg-type]
        (pb.RecordPage(items=[pb.PatientRecord(doctor_id=2**40)]), "PatientRecord.doctor_id"),
    ],
)
def test_a_value_that_does_not_fit_its_field_never_leaves_and_is_not_repeated_in_the_error(
    message: Any, told: str
) -> None:
    """4294967303 once reached a server as patient 7."""
    with pytest.raises(ValueError, match=told) as caught:
        codec.encode(message, type(message))
    assert "4294967303" not in str(caught.value)


def test_a_number_beyond_32_bits_does_not_enter_either() -> None:
    """Google's reader keeps the low 32 bits, and then it is another patient."""
    with pytest.raises(Unreadable, match=r"PatientRecordRequest\.patient_id"):
        codec.decode(b"\x10\x87\x80\x80\x80\x10", pb.PatientRecordRequest)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\x22\x05ab", "ends too early"),
        (b"\x10", "ends too early"),
        (b"\x22\x02\xff\xff", "not UTF-8"),
        (b"\x10" + b"\xff" * 10 + b"\x01", "64 bits"),
        (b"\x0b", "wire type 3"),
        (b"\x00\x01", "without a number"),
    ],
)
def test_bytes_that_are_no_message_are_refused_with_what_is_wrong(data: bytes, told: str) -> None:
    """The far side's bytes are input."""
    with pytest.raises(Unreadable, match=told):
        codec.decode(data, pb.PatientRecord)


def test_fields_of_a_newer_version_are_passed_over() -> None:
    """Replicas of two versions run side by side during an upgrade."""
    newer = b"\x08\x07" + b"\xfa\x07\x03new" + b"\xf8\x07\x01" + b"\xfd\x07abcd" + b"\xf9\x07abcdefgh"
    assert codec.decode(newer, pb.PatientRecord) == pb.PatientRecord(record_id=7)


def test_an_enumeration_of_a_newer_version_keeps_its_number() -> None:
    """Enumerations are open in proto3."""
    assert codec.decode(b"\x08\x09", health.HealthCheckResponse).status == 9


def test_only_the_message_that_is_meant_is_written() -> None:
    """Another message of the same shape would be accepted by the far side."""
    with pytest.raises(ValueError, match="a PatientRequest is wanted, not a PrescriptionRequest"):
        codec.encode(pb.PrescriptionRequest(), pb.PatientRequest)
