"""What an error carries beside its status: `google.rpc.ErrorInfo` and `BadRequest` in `grpc-status-details-bin`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grpclib.const import Status as GrpcStatus
from grpclib.encoding.base import StatusDetailsCodecBase
from grpclib.exceptions import GRPCError

from mesh.errors import NO_INFO, Violation
from mesh.wire.google import rpc
from mesh.wire.google.protobuf import Any as Packed

PREFIX = "type.googleapis.com/google.rpc."


@dataclass(frozen=True, slots=True)
class Details:
    """The reason of an error, machine-readable.

    Attributes:
        code: ErrorInfo.reason, in UPPER_SNAKE_CASE; "" for none.
        domain: ErrorInfo.domain, who defines the code.
        info: ErrorInfo.metadata.
        violations: BadRequest.field_violations.
    """

    code: str = ""
    domain: str = ""
    info: Mapping[str, str] = field(default_factory=lambda: NO_INFO)
    violations: tuple[Violation, ...] = ()


class DetailsCodec(StatusDetailsCodecBase):
    """Details to and from the bytes of a google.rpc.Status."""

    def encode(self, status: GrpcStatus, message: str | None, details: Details) -> bytes:
        packed = []
        if details.code:
            info = rpc.ErrorInfo(reason=details.code, domain=details.domain, metadata=dict(details.info))
            packed.append(Packed(type_url=PREFIX + "ErrorInfo", value=bytes(info)))
        if details.violations:
            fields = [rpc.BadRequestFieldViolation(field=f, description=text) for f, text in details.violations]
            packed.append(Packed(type_url=PREFIX + "BadRequest", value=bytes(rpc.BadRequest(field_violations=fields))))
        return bytes(rpc.Status(code=status.value, message=message or "", details=packed))

    def packed(self, refusal: GRPCError) -> bytes:
        """A refusal as a google.rpc.Status."""
        details = refusal.details if isinstance(refusal.details, Details) else Details()
        return self.encode(refusal.status, refusal.message, details)

    def unpacked(self, data: bytes) -> GRPCError:
        """The same refusal."""
        status = rpc.Status.parse(data)
        return GRPCError(GrpcStatus(status.code), status.message, _read(status))

    def decode(self, status: GrpcStatus, message: str | None, data: bytes) -> Details:  # noqa: ARG002  # grpclib's signature
        """Details that cannot be read are none: the status itself still stands."""
        try:
            return _read(rpc.Status.parse(data))
        except (ValueError, TypeError, KeyError, IndexError, EOFError):
            return Details()


def _read(status: Any) -> Details:
    code, domain, info = "", "", NO_INFO
    violations: tuple[Violation, ...] = ()
    for packed in status.details:
        if packed.type_url == PREFIX + "ErrorInfo":
            error = rpc.ErrorInfo.parse(packed.value)
            code, domain, info = error.reason, error.domain, error.metadata
        elif packed.type_url == PREFIX + "BadRequest":
            bad = rpc.BadRequest.parse(packed.value)
            violations = tuple(Violation(each.field, each.description) for each in bad.field_violations)
    return Details(code, domain, info, violations)
