"""What a request's headers ask for, and what may be wrong with them.

Source: RFC 9113, section 8.3 (pseudo-headers), 8.2.2 (connection-specific ones);
github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, and compression.md beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grpclib.const import Handler
from grpclib.encoding.base import GRPC_CONTENT_TYPE
from grpclib.metadata import decode_metadata, encode_grpc_message

from mesh.status import Status
from mesh.transport.timeouts import read

Headers = Sequence[tuple[str, str]]

_NEEDED = frozenset({":method", ":scheme", ":path"})
_KNOWN = _NEEDED | {":authority"}
_OF_HTTP_1 = frozenset({"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"})


class Refusal(Exception):
    """An answer without a message.

    Attributes:
        headers: what it says; with the text as its body where it is no answer of gRPC.
    """

    def __init__(self, text: str, also: Mapping[str, str], *, http: int = 200) -> None:
        super().__init__(text)
        self.headers = [(":status", str(http)), *also.items()]
        self.body = b"" if http == 200 else text.encode()  # noqa: PLR2004  # gRPC's own answers


class Asked(NamedTuple):
    """A request that can be answered by its method.

    Attributes:
        timeout: seconds that the caller waits; None where it does not say.
    """

    path: str
    handler: Handler
    metadata: Any
    timeout: float | None
    user_agent: str | None


def malformed(headers: Headers) -> bool:
    """Is it no request of HTTP/2 at all?"""
    names = [name for name, _ in headers]
    pseudo = [name for name in names if name.startswith(":")]
    text = "".join(names)
    return (
        names[: len(pseudo)] != pseudo
        or len(set(pseudo)) != len(pseudo)
        or not _NEEDED <= set(pseudo) <= _KNOWN
        or not _OF_HTTP_1.isdisjoint(names)
        or text != text.lower()
        or (":path", "") in headers
        or any(name == "te" and value != "trailers" for name, value in headers)
    )


def asked(headers: Headers, methods: Mapping[str, Handler], subtype: str) -> Asked:
    """What is asked for, by the headers alone.

    Raises:
        Refusal: there is something wrong with them.
    """
    given = dict(headers)
    if given.get(":method") != "POST":
        raise _not_grpc(405, "a call is a POST", allow="POST")
    if given.get("content-type") not in {GRPC_CONTENT_TYPE, f"{GRPC_CONTENT_TYPE}+{subtype}"}:
        raise _not_grpc(415, f"a call's content-type is {GRPC_CONTENT_TYPE}")
    if given.get("te") != "trailers":
        raise _not_grpc(400, "`te: trailers` is missing: something on the way drops them")
    if (handler := methods.get(given[":path"])) is None:
        raise refused(Status.UNIMPLEMENTED, "there is no such method here")
    if given.get("grpc-encoding", "identity") != "identity":
        text = "compressed messages are not taken; send them as they are"
        raise refused(Status.UNIMPLEMENTED, text, {"grpc-accept-encoding": "identity"})
    try:
        timeout = read(given["grpc-timeout"]) if "grpc-timeout" in given else None
        metadata = decode_metadata(headers)
    except ValueError:
        raise refused(Status.INTERNAL, "the grpc-timeout, or a binary header, cannot be read") from None
    if timeout == 0:
        raise refused(Status.DEADLINE_EXCEEDED, "no time was left when the call arrived")
    return Asked(given[":path"], handler, metadata, timeout, given.get("user-agent"))


def refused(status: Status, text: str, also: Mapping[str, str] | None = None) -> Refusal:
    """An answer of gRPC that is nothing but its status."""
    told = {"grpc-status": str(status.value), "grpc-message": encode_grpc_message(text)}
    return Refusal(text, {"content-type": GRPC_CONTENT_TYPE} | told | dict(also or {}))


def _not_grpc(http: int, text: str, **also: str) -> Refusal:
    return Refusal(f"{text}\n", {"content-type": "text/plain"} | also, http=http)
