"""Calls to one endpoint, and what can become of them.

What grpclib raises is turned into the things that a caller needs to know apart: never sent or never begun
with (`Unreachable`, `Refused`), sent and not answered (`Lost`), answered (`Reply` or `RemoteError`).
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple, Protocol

import h2.exceptions
from grpclib.const import Cardinality
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from mesh.call import Call, Reply
from mesh.clock import Clock
from mesh.details import Details, DetailsCodec
from mesh.errors import REPLY_TOO_LARGE, REPLY_UNREADABLE, Lost, MeshError, RemoteError, Unreadable
from mesh.status import Status
from mesh.transport.channel import Channel
from mesh.transport.connection import MAX_MESSAGE, BadMessage
from mesh.transport.request import Request

FAILURES = (GRPCError, StreamTerminatedError, ProtocolError, OSError, h2.exceptions.ProtocolError)
UNREADABLE = (Unreadable, ValueError, TypeError, LookupError, EOFError)  # the last four from codecs less careful


class Transport:
    """Calls one endpoint; connects when first needed and again after a connection was lost.

    Args:
        address: "host:port".
        codec: turns messages into bytes and back.
        clock: whose time the calls' deadlines are in.
        max_message: bytes of one answer; a longer one is RESOURCE_EXHAUSTED.
        max_links: HTTP/2 connections at one time, made as their streams run out.
    """

    def __init__(
        self, address: str, codec: CodecBase, clock: Clock, *, max_message: int = MAX_MESSAGE, max_links: int = 4
    ) -> None:
        host, port = split_address(address)
        self._address, self._codec, self._clock = address, codec, clock
        self._details = DetailsCodec()
        self._channel = Channel(host, port, clock, max_message=max_message, max_links=max_links)

    async def __call__(self, call: Call) -> Reply:
        """Makes a unary call.

        Raises:
            Unreachable: no connection; nothing was sent.
            Refused: the far side went away, or had no room, before it began with it.
            Lost: something was sent and no answer came.
            RemoteError: the answer is an error.
        """
        try:
            async with self._request(call, Cardinality.UNARY_UNARY) as request:
                await request.send_message(call.message, end=True)
                message = await _read(request, to_the_end=True)
        except FAILURES as failure:
            raise self._told(failure, request) from None
        if message is None:
            raise RemoteError(Status.INTERNAL, "the answer is OK and holds no message", code=REPLY_UNREADABLE)
        return Reply(message, texts(request.trailing_metadata), self._address)

    async def streamed(self, call: Call) -> AsyncGenerator[Any, None]:
        """Makes a call that is answered by a stream of messages. Raises as a unary call does."""
        try:
            async with self._request(call, Cardinality.UNARY_STREAM) as request:
                await request.send_message(call.message, end=True)
                while (message := await _read(request, to_the_end=False)) is not None:
                    yield message
        except FAILURES as failure:
            raise self._told(failure, request) from None

    def close(self) -> None:
        """Ends the connections; calls under way on them are lost."""
        self._channel.close()

    def close_when_idle(self) -> None:
        """Ends each connection once the calls under way on it are over."""
        self._channel.close_when_idle()

    def _request(self, call: Call, cardinality: Cardinality) -> Request:
        return Request(self._channel, call, cardinality, self._codec, self._details, self._clock)

    def _told(self, failure: Exception, request: Request) -> MeshError:
        if isinstance(failure, GRPCError):
            return remote(failure, request)
        if isinstance(failure, StreamTerminatedError):
            text = f"the call to {self._address} broke: {failure}"
        else:
            text = f"the connection to {self._address} broke: {type(failure).__name__}"
        return Lost(text, reason="link_broke")


async def _read(request: Request, *, to_the_end: bool) -> Any:
    """The next message, or None after the last; the last is known when the end has been read too."""
    try:
        message = await request.recv_message()
        if to_the_end or message is None:
            await request.recv_trailing_metadata()
    except BadMessage as error:
        code = REPLY_TOO_LARGE if error.status is Status.RESOURCE_EXHAUSTED else REPLY_UNREADABLE
        raise RemoteError(error.status, str(error), code=code) from None
    except UNREADABLE as error:
        text = str(error) if isinstance(error, Unreadable) else f"the answer cannot be read: {type(error).__name__}"
        raise RemoteError(Status.INTERNAL, text, code=REPLY_UNREADABLE) from None
    return message


class Ended(Protocol):
    """A call whose answer has been read to its end."""

    @property
    def trailing_metadata(self) -> Mapping[str, Any] | None: ...

    @property
    def pushback(self) -> str | None: ...


def remote(error: GRPCError, request: Ended) -> RemoteError:
    """An answer that is an error, as a caller of the mesh sees it."""
    details = error.details if isinstance(error.details, Details) else Details()
    return RemoteError(
        Status(error.status.value),
        error.message or "",
        code=details.code,
        info=details.info,
        violations=details.violations,
        headers=texts(request.trailing_metadata),
        pushback=None if request.pushback is None else read_pushback(request.pushback),
    )


def refused(status: bytes, headers: Mapping[str, str], pushback: str | None) -> RemoteError:
    """An answer that is an error and came among others, as a google.rpc.Status."""
    return remote(DetailsCodec().unpacked(status), _Among(headers, pushback))


class _Among(NamedTuple):
    trailing_metadata: Mapping[str, Any] | None
    pushback: str | None


def read_pushback(text: str) -> float:
    """Seconds. What cannot be read means never, as A6 has it."""
    return int(text) / 1000 if text.isascii() and text.isdigit() else -1.0


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
