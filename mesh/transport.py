"""One connection to one endpoint: the only place on the client's side that touches grpclib.

What grpclib raises is turned into the three things a caller needs to know apart: never sent
(`Unreachable`), sent and not answered (`Lost`), answered (`Reply` or `RemoteError`).
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import h2.exceptions
from grpclib.client import Channel, Stream
from grpclib.const import Cardinality
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from grpclib.metadata import Deadline
from grpclib.utils import Wrapper

from mesh.call import Call, Reply
from mesh.clock import Clock
from mesh.details import Details, DetailsCodec
from mesh.errors import Lost, RemoteError, Unreachable, Unreadable
from mesh.status import Status

LINK_BROKE = (StreamTerminatedError, ProtocolError, ConnectionError, OSError, h2.exceptions.ProtocolError)


class _Waker(Wrapper):
    """Wakes the caller once: grpclib says twice that a connection is closed, and cancels the task each time."""

    def cancel(self, error: Exception) -> None:
        if not self.cancelled:
            super().cancel(error)


class _Stream(Stream[Any, Any]):
    """A stream that tells the server the deadline and leaves the waiting for it to the layers above.

    grpclib's own deadline wakes its caller by cancelling the task and leaves the task marked as cancelled.
    """

    async def __aenter__(self) -> Self:
        self._wrapper = _Waker()
        return self

    def _raise_for_content_type(self, headers_map: dict[str, str]) -> None:
        # grpclib's server answers a method it does not know without a content type; the status counts.
        if "grpc-status" not in headers_map:
            super()._raise_for_content_type(headers_map)


class Transport:
    """Calls one endpoint; connects when first needed and again after the connection was lost.

    Args:
        address: "host:port".
        codec: turns messages into bytes and back.
        clock: whose time the calls' deadlines are in.
    """

    def __init__(self, address: str, codec: CodecBase, clock: Clock) -> None:
        host, port = split_address(address)
        self._address, self._codec, self._clock = address, codec, clock
        self._details = DetailsCodec()
        self._channel = Channel(host, port, codec=codec, status_details_codec=self._details)

    async def __call__(self, call: Call) -> Reply:
        """Makes a unary call.

        Raises:
            Unreachable: no connection; nothing was sent.
            Lost: something was sent and no answer came.
            RemoteError: the answer is an error.
        """
        await self._connect()
        with self._told():
            async with self._stream(call, Cardinality.UNARY_UNARY) as stream:
                await stream.send_message(call.message, end=True)
                message = await stream.recv_message()
                await stream.recv_trailing_metadata()
        return Reply(message, texts(stream.trailing_metadata), self._address)

    async def streamed(self, call: Call) -> AsyncGenerator[Any, None]:
        """Makes a call that is answered by a stream of messages. Raises as a unary call does."""
        await self._connect()
        with self._told():
            async with self._stream(call, Cardinality.UNARY_STREAM) as stream:
                await stream.send_message(call.message, end=True)
                async for message in stream:
                    yield message

    def close(self) -> None:
        """Ends the connection; calls under way on it are lost."""
        self._channel.close()

    async def _connect(self) -> None:
        try:
            await self._channel.__connect__()
        except OSError as error:
            raise Unreachable(f"no connection to {self._address}: {type(error).__name__}") from None

    def _stream(self, call: Call, cardinality: Cardinality) -> _Stream:
        left = call.deadline - self._clock.now()
        return _Stream(
            self._channel,
            call.method.path,
            call.metadata,  # type: ignore[arg-type]  # grpclib's own type is a NewType of MultiDict
            cardinality,
            call.method.request,
            call.method.reply,
            codec=self._codec,
            status_details_codec=self._details,
            dispatch=self._channel.__dispatch__,
            deadline=Deadline.from_timeout(left) if left != float("inf") else None,
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        task = asyncio.current_task()
        cancelling = task.cancelling() if task else 0
        try:
            yield
        except GRPCError as error:
            raise _remote(error) from None
        except Unreadable as error:
            raise RemoteError(Status.INTERNAL, str(error)) from None
        except LINK_BROKE as error:
            if task:
                _unmark(task, cancelling)
            raise Lost(
                f"the connection to {self._address} broke: {type(error).__name__}", reason="link_broke"
            ) from None


def _unmark(task: asyncio.Task[Any], before: int) -> None:
    """Takes back the cancellation by which grpclib woke the task, and passes on one that came from elsewhere.

    If the mark stayed, the next timeout around the task would take itself for a cancellation from outside.
    """
    if task.cancelling() > before:
        task.uncancel()
    if task.cancelling() > before:
        raise asyncio.CancelledError


def _remote(error: GRPCError) -> RemoteError:
    details = error.details if isinstance(error.details, Details) else Details()
    return RemoteError(
        Status(error.status.value),
        error.message or "",
        code=details.code,
        info=details.info,
        violations=details.violations,
    )


def texts(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """Metadata without its binary entries."""
    return {key: value for key, value in (metadata or {}).items() if isinstance(value, str)}


def split_address(address: str) -> tuple[str, int]:
    """Splits "host:port", "[v6]:port" included.

    Raises:
        ValueError: it is not of that form.
    """
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) <= 65535):  # noqa: PLR2004
        raise ValueError(f"{address!r} is not host:port")
    return host.strip("[]"), int(port)
