"""How a service says no."""

from collections.abc import Mapping

from grpclib.const import Status as GrpcStatus
from grpclib.exceptions import GRPCError

from mesh.details import Details
from mesh.errors import NO_INFO, Violation
from mesh.status import Status


class StatusError(Exception):
    """A service's method raises this to answer with an error.

    Args:
        status: anything but OK.
        message: for a person; it crosses the wire, so it holds no patient data.
        code: google.rpc.ErrorInfo.reason, for a program.
        info: google.rpc.ErrorInfo.metadata.
        violations: the fields that were not accepted.
        pushback: seconds after which the call may be made again; less than 0 for never; None leaves it to the caller.
    """

    def __init__(
        self,
        status: Status,
        message: str,
        *,
        code: str = "",
        info: Mapping[str, str] = NO_INFO,
        violations: tuple[Violation, ...] = (),
        pushback: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.info, self.violations, self.pushback = info, violations, pushback

    def on_the_wire(self, domain: str) -> GRPCError:
        """The same as grpclib sends it."""
        details = Details(self.code, domain, self.info, self.violations)
        bare = not (self.code or self.violations)
        return GRPCError(GrpcStatus(self.status.value), self.message, None if bare else details)
