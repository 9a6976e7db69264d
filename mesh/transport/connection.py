"""A connection's h2 state, its streams, and its way out: grpclib's classes, with what they lack.

A message has a greatest size, and all that is written in one turn of the loop is one write.
"""

import asyncio
from typing import Any, cast

from grpclib.config import Configuration
from grpclib.protocol import Connection as GrpcConnection
from grpclib.protocol import Stream as GrpcStream
from h2.connection import H2Connection

from mesh.status import Status
from mesh.transport.frames import GoAway

MAX_MESSAGE = 4 * 2**20
"""Bytes of one message, unless one says otherwise; as in every other gRPC library."""
PING = b"mesh/1.0"
_CORKED = 65_536  # bytes that may wait for the end of the loop's turn


class BadMessage(Exception):
    """What arrives is no message that could be taken; its text names no value.

    Attributes:
        status: what the far side is told.
    """

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status


class Outbox:
    """Stands for a transport, and gathers what is written in one turn of the loop."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._loop = transport, asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size > _CORKED:
            self.flush()

    def flush(self) -> None:
        if self._waiting and not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
        self._waiting.clear()
        self._size = 0

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


class Stream(GrpcStream):
    """One call's stream; reads no message that is packed, cut short or over the greatest size.

    Attributes:
        besides: sent with the last headers; grpclib keeps the names that begin with `grpc-` from its users.
    """

    connection: "Connection"
    id: int  # from its headers on
    besides: tuple[tuple[str, str], ...] = ()
    _at_prefix = True

    async def send_headers(self, headers: list[tuple[str, str]], end_stream: bool = False) -> None:  # noqa: FBT001, FBT002  # grpclib's
        await super().send_headers([*headers, *self.besides] if end_stream else headers, end_stream)

    async def recv_data(self, size: int) -> bytes:
        """Called by turns for a message's prefix and for its body.

        Raises:
            BadMessage: the message is not to be had.
        """
        at_prefix, self._at_prefix = self._at_prefix, not self._at_prefix
        try:
            data = await self.buffer.read(size)
        except AssertionError:  # it ended between the first byte and the last
            data = b"?"
        if at_prefix and not data:
            return data
        if len(data) != size:
            raise BadMessage(Status.INTERNAL, "the stream ended in the middle of a message")
        if at_prefix:
            self._check(data)
        return data

    def _check(self, prefix: bytes) -> None:
        if prefix[0]:
            raise BadMessage(Status.INTERNAL, "a message is marked as compressed, and no encoding was agreed on")
        size, most = int.from_bytes(prefix[1:], "big"), self.connection.max_message
        if size > most:
            raise BadMessage(Status.RESOURCE_EXHAUSTED, f"a message of {size} bytes; {most} is the most")


class Connection(GrpcConnection):
    """h2's state and the way out."""

    def __init__(self, h2: H2Connection, outbox: Outbox, stream: type[Stream], max_message: int) -> None:
        super().__init__(h2, cast("asyncio.Transport", outbox), config=Configuration())
        self.h2, self.outbox, self.max_message = h2, outbox, max_message
        self._stream = stream

    def create_stream(self, *, stream_id: int | None = None, wrapper: Any = None) -> Stream:
        return self._stream(self, self.h2, self._transport, stream_id=stream_id, wrapper=wrapper)

    def ping(self) -> None:
        self.h2.ping(PING)
        self.flush()

    def goaway(self, goaway: GoAway) -> None:
        """Sends it past h2, which would end its state on it."""
        self.flush()
        self.outbox.write(goaway.frame())

    def is_closing(self) -> bool:
        return self.outbox.is_closing()

    def close(self) -> None:
        self.outbox.close()
