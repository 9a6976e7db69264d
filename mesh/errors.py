"""What a call can end in besides a reply.

Two questions decide what may be repeated: was the request sent, and was it answered?
`Rejected` was never sent or never begun with, `Lost` was sent and got no answer, `RemoteError` is an answer.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from mesh.status import Status

if TYPE_CHECKING:
    from mesh.served import Served

NO_INFO: Mapping[str, str] = MappingProxyType({})
NOT_SENT = "not sent"
"""What a CancelledError says of a call that still waited for a connection."""
OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
"""ErrorInfo.reason of a far side that cannot tell whether it did what it was asked for."""
OVERLOADED = "OVERLOADED"
"""ErrorInfo.reason of a far side that has too much to do, and has not begun with the call."""
TOO_LARGE = "TOO_LARGE"
"""ErrorInfo.reason of a far side that does not take a message of this size."""
REPLY_TOO_LARGE, REPLY_UNREADABLE = "REPLY_TOO_LARGE", "REPLY_UNREADABLE"
"""Given by the caller's own side to an answer that came and is not to be had: the far side has acted."""
_MAYBE_DONE = frozenset({OUTCOME_UNKNOWN, REPLY_TOO_LARGE, REPLY_UNREADABLE})


class Unreadable(Exception):
    """A codec raises this for bytes that are not the message they should be; its text names no value."""


class MeshError(Exception):
    """The root.

    Attributes:
        reason: short, in snake_case, for events, metrics and `Proxy-Status`.
        maybe_done: true once any attempt of the call was lost, timed out here or there, or was answered with
            OUTCOME_UNKNOWN or with what cannot be read: the far side may have acted.
        endpoint: the address that the last attempt went to, "" where there was none.
        alone: nobody else could have been asked.
        beside: attempts that were made at the same time, and failed, too.
        early: its attempt was given up because others were quicker of late, sooner than the policy's most: it may
            only have been slow.
        served: of a read whose answers are kept, how the error was come by.
    """

    reason = "mesh_error"
    early = alone = False

    def __init__(self, message: str, *, maybe_done: bool = False) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done
        self.endpoint = ""
        self.beside = 0
        self.served: Served | None = None


class Rejected(MeshError):
    """Never sent, or surely never begun with, so it may always be repeated.

    Attributes:
        retry_after: seconds until a new try may fare better, where that is known.
    """

    reason = "rejected"

    def __init__(self, message: str, *, maybe_done: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message, maybe_done=maybe_done)
        self.retry_after = retry_after


class CircuitOpen(Rejected):
    """The endpoint's breaker lets nothing through at present."""

    reason = "circuit_open"


class Overloaded(Rejected):
    """No permit was free."""

    reason = "overloaded"


class NoEndpoint(Rejected):
    """Nobody is known who could answer."""

    reason = "no_endpoint"


class Unreachable(Rejected):
    """No connection could be made."""

    reason = "unreachable"


class Refused(Rejected):
    """It reached the far side, which said that it had not begun with it and never would: it goes away, or is full."""

    reason = "refused"


class DeadlineExceeded(MeshError):
    """The caller's time is over: while an attempt was under way, or (`no_time_left`) before it could be sent."""

    reason = "deadline_exceeded"

    def __init__(self, message: str, *, reason: str = "deadline_exceeded", maybe_done: bool = False) -> None:
        super().__init__(message, maybe_done=maybe_done)
        self.reason = reason


class Lost(MeshError):
    """Sent, and no answer came: the link broke or the attempt's time ran out."""

    reason = "lost"

    def __init__(self, message: str, *, reason: str = "lost") -> None:
        super().__init__(message, maybe_done=True)
        self.reason = reason


class Violation(NamedTuple):
    """One field that the far side did not accept; as google.rpc.BadRequest.FieldViolation."""

    field: str
    message: str


class RemoteError(MeshError):
    """The far side answered with a status other than OK.

    Attributes:
        status: the gRPC status.
        message: the far side's text.
        code: google.rpc.ErrorInfo.reason, or "" where none was given; or one of REPLY_….
        info: google.rpc.ErrorInfo.metadata.
        violations: the fields it did not accept.
        headers: the trailing metadata.
        pushback: seconds after which the far side lets the call be made again, less than 0 for never; None where
            it did not say.
    """

    def __init__(
        self,
        status: Status,
        message: str,
        *,
        code: str = "",
        info: Mapping[str, str] = NO_INFO,
        violations: tuple[Violation, ...] = (),
        headers: Mapping[str, str] = NO_INFO,
        pushback: float | None = None,
    ) -> None:
        super().__init__(message, maybe_done=code in _MAYBE_DONE or status is Status.DEADLINE_EXCEEDED)
        self.status = status
        self.message = message
        self.code = code
        self.info = info
        self.violations = violations
        self.headers = headers
        self.pushback = pushback

    @property
    def reason(self) -> str:  # type: ignore[override]  # here it follows from the status
        return f"status_{self.status.name.lower()}"
