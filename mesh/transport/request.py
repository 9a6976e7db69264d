"""One request on a connection of ours, and how its caller is woken when the connection has something to say."""

import asyncio
from types import TracebackType
from typing import Any, Self, cast

from grpclib.client import Stream
from grpclib.const import Cardinality
from grpclib.encoding.base import CodecBase
from grpclib.metadata import encode_metadata
from grpclib.utils import Wrapper

from mesh.call import PUSHBACK, Call
from mesh.clock import Clock
from mesh.details import DetailsCodec
from mesh.errors import NOT_SENT
from mesh.transport.channel import Channel
from mesh.transport.timeouts import written


class Waker(Wrapper):
    """Wakes a caller as grpclib does, by cancelling its task, but once, and takes back what it added.

    If the mark stayed on the task, the next timeout around it would take itself for a cancellation from outside.
    """

    def __init__(self) -> None:
        self._error: Exception | None = None
        self._waiting: asyncio.Task[Any] | None = None
        self._woken: asyncio.Task[Any] | None = None
        self._before = 0  # cancellations of the task when it began to wait

    def __enter__(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiting = task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._before = task.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting = None
        if self._error is None:
            return
        if self._woken is not None and self._woken.uncancel() > self._before:
            raise asyncio.CancelledError  # it was cancelled from elsewhere, too
        raise self._error

    def cancel(self, error: Exception) -> None:
        if self._error is None:
            self._error, self._woken = error, self._waiting
            if self._woken is not None:
                self._woken.cancel()


class Request(Stream[Any, Any]):
    """Tells the far side the deadline, and leaves the waiting for it to the layers above."""

    _wrapper: Waker
    pushback: str | None = None  # what the answer says of when to come again

    def __init__(
        self,
        channel: Channel,
        call: Call,
        cardinality: Cardinality,
        codec: CodecBase,
        details: DetailsCodec,
        clock: Clock,
    ) -> None:
        super().__init__(
            channel,  # type: ignore[arg-type]  # it has what is asked of it here
            call.method.path,
            call.metadata,  # type: ignore[arg-type]  # grpclib's own type is a NewType of MultiDict
            cardinality,
            call.method.request,
            call.method.reply,
            codec=codec,
            status_details_codec=details,
            dispatch=channel.dispatch,
        )
        self._call, self._clock, self._links = call, clock, channel

    async def __aenter__(self) -> Self:
        self._wrapper = Waker()
        return self

    async def send_request(self, *, end: bool = False) -> None:  # noqa: ARG002  # here a message always follows
        headers = [*self._links.headers(self._call.method.path), *encode_metadata(self._call.metadata)]
        with self._wrapper:
            try:
                link = await self._links.link()
            except asyncio.CancelledError:
                raise asyncio.CancelledError(NOT_SENT) from None
            left = self._call.deadline - self._clock.now()
            if left != float("inf"):
                headers.append(("grpc-timeout", written(left)))
            self._stream, self._release_stream = link.open(headers, self._wrapper)
        self._send_request_done = True

    def _process_grpc_status(self, headers_map: dict[str, str]) -> Any:
        self.pushback = headers_map.get(PUSHBACK)
        return super()._process_grpc_status(headers_map)

    def _raise_for_content_type(self, headers_map: dict[str, str]) -> None:
        # grpclib's server answers a method it does not know without a content type; the status counts.
        if "grpc-status" not in headers_map:
            super()._raise_for_content_type(headers_map)
