"""From a stream with its headers to the method that they name, or to a refusal."""

from collections.abc import Mapping
from typing import Any

from grpclib.const import Handler
from grpclib.encoding.base import CodecBase
from grpclib.events import _DispatchServerEvents
from grpclib.metadata import Deadline
from grpclib.server import Stream as GrpcCall
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from mesh.call import PUSHBACK
from mesh.details import DetailsCodec
from mesh.server.admitting import Admitting
from mesh.server.requests import Asked, Headers, Refusal, asked, malformed
from mesh.transport.connection import Stream


class Served(GrpcCall[Any, Any]):
    """A call as grpclib's methods see it, that can also be told when to come again."""

    _stream: Stream
    waited = 0.0
    """Seconds until it was let in."""

    def push_back(self, seconds: float) -> None:
        """Whatever it is answered, it may be made again after so many seconds; never if they are less than 0."""
        self._stream.besides = ((PUSHBACK, str(round(seconds * 1000))),)


class Answering:
    """Calls the method that a request names.

    Args:
        methods: by path.
        admitting: lets calls in; None lets in all.
    """

    def __init__(
        self, methods: Mapping[str, Handler], codec: CodecBase, details: DetailsCodec, admitting: Admitting | None
    ) -> None:
        self._methods, self._codec, self._details, self._admitting = methods, codec, details, admitting
        self._subtype = str(codec.__content_subtype__)
        self._dispatch = _DispatchServerEvents()  # grpclib's stream wants one; nobody listens

    async def __call__(self, stream: Stream, headers: Headers) -> None:
        try:
            if malformed(headers):
                stream.reset_nowait(ErrorCodes.PROTOCOL_ERROR)
            else:
                await self._answer(stream, headers)
        except ProtocolError:
            pass  # the caller has gone

    async def _answer(self, stream: Stream, headers: Headers) -> None:
        try:
            request = asked(headers, self._methods, self._subtype)
            permit = await self._admitting.let_in(request) if self._admitting else None
        except Refusal as refusal:
            await stream.send_headers(refusal.headers, end_stream=not refusal.body)
            if refusal.body:
                await stream.send_data(refusal.body, end_stream=True)
            if stream.closable:
                stream.reset_nowait()
        else:
            async with self._call(stream, request) as call:
                if permit is None or self._admitting is None:
                    await request.handler.func(call)
                else:
                    await self._admitting.handle(request, call, permit)

    def _call(self, stream: Stream, request: Asked) -> Served:
        call = Served(
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
