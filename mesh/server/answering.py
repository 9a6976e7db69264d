"""From a request's headers to its method, or to a refusal.

Source: github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, and compression.md beside it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from grpclib.const import Handler
from grpclib.encoding.base import GRPC_CONTENT_TYPE, CodecBase
from grpclib.events import _DispatchServerEvents
from grpclib.metadata import Deadline, decode_metadata, encode_grpc_message
from grpclib.server import Stream as GrpcCall
from h2.exceptions import ProtocolError

from mesh.details import DetailsCodec
from mesh.server.caller import Headers
from mesh.status import Status
from mesh.transport.connection import Stream
from mesh.transport.timeouts import read

PACKED = "compressed messages are not taken; send them as they are"


class Refusal(Exception):
    """An answer without a message.

    Attributes:
        headers: all of it.
    """

    def __init__(self, status: Status, text: str, *, http: int = 200, **also: str) -> None:
        super().__init__(text)
        self.headers = [
            (":status", str(http)),
            ("content-type", GRPC_CONTENT_TYPE),
            ("grpc-status", str(status.value)),
            ("grpc-message", encode_grpc_message(text)),
            *((name.replace("_", "-"), value) for name, value in also.items()),
        ]


class Asked(NamedTuple):
    """What a request's headers ask for.

    Attributes:
        timeout: seconds that the caller waits; None where it does not say.
    """

    path: str
    handler: Handler
    metadata: Any
    timeout: float | None
    user_agent: str | None


def asked(headers: Headers, methods: Mapping[str, Handler], subtype: str) -> Asked:
    """What is asked for, by the headers alone.

    Raises:
        Refusal: there is something wrong with them.
    """
    given = dict(headers)
    if given.get(":method") != "POST":
        raise Refusal(Status.INTERNAL, "a call is a POST", http=405, allow="POST")
    if given.get("content-type") not in {GRPC_CONTENT_TYPE, f"{GRPC_CONTENT_TYPE}+{subtype}"}:
        raise Refusal(Status.INTERNAL, f"the content-type is not {GRPC_CONTENT_TYPE}", http=415)
    if given.get("te") != "trailers":
        raise Refusal(Status.INTERNAL, "`te: trailers` is missing: something on the way drops them", http=400)
    if (handler := methods.get(given.get(":path", ""))) is None:
        raise Refusal(Status.UNIMPLEMENTED, "there is no such method here")
    if given.get("grpc-encoding", "identity") != "identity":
        raise Refusal(Status.UNIMPLEMENTED, PACKED, grpc_accept_encoding="identity")
    try:
        timeout = read(given["grpc-timeout"]) if "grpc-timeout" in given else None
        metadata = decode_metadata(headers)
    except ValueError:
        raise Refusal(Status.INTERNAL, "the grpc-timeout, or a binary header, cannot be read") from None
    if timeout == 0:
        raise Refusal(Status.DEADLINE_EXCEEDED, "no time was left when the call arrived")
    return Asked(given[":path"], handler, metadata, timeout, given.get("user-agent"))


class Answering:
    """Calls the method that a request names.

    Args:
        methods: by path.
    """

    def __init__(self, methods: Mapping[str, Handler], codec: CodecBase, details: DetailsCodec) -> None:
        self._methods, self._codec, self._details = methods, codec, details
        self._subtype = str(codec.__content_subtype__)
        self._dispatch = _DispatchServerEvents()  # grpclib's stream wants one; nobody listens

    async def __call__(self, stream: Stream, headers: Headers) -> None:
        try:
            request = asked(headers, self._methods, self._subtype)
            async with self._call(stream, request) as call:
                await request.handler.func(call)
        except Refusal as refusal:
            await _refuse(stream, refusal)
        except ProtocolError:
            pass  # the caller has gone

    def _call(self, stream: Stream, request: Asked) -> GrpcCall[Any, Any]:
        call: GrpcCall[Any, Any] = GrpcCall(
            stream,
            request.path,
            request.handler.cardinality,
            request.handler.request_type,
            request.handler.reply_type,
            codec=self._codec,
            status_details_codec=self._details,
            dispatch=self._dispatch,
            deadline=None if request.timeout is None else Deadline.from_timeout(request.timeout),
            user_agent=request.user_agent,
        )
        call.metadata = request.metadata
        return call


async def _refuse(stream: Stream, refusal: Refusal) -> None:
    try:
        await stream.send_headers(refusal.headers, end_stream=True)
        if stream.closable:
            stream.reset_nowait()
    except ProtocolError:
        pass  # the caller has gone
