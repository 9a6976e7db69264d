"""One HTTP/2 connection as both sides need it: grpclib's classes, with what they lack.

An unknown frame is ignored, GOAWAY ends nothing by itself, and what a stream held of the connection's window
is given back once and always.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import cast

from grpclib.config import Configuration
from grpclib.protocol import AbstractHandler, EventsProcessor, H2Protocol
from grpclib.protocol import Stream as GrpcStream
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from mesh.transport.connection import Connection, Outbox, Stream
from mesh.transport.frames import PREFACE, GoAway, Splitter, Unwelcome

WINDOW = 4 * 2**20
"""Bytes that the peer may send ahead of what is read here, for a stream and for the connection."""


def configured(*, client: bool) -> H2Configuration:
    """h2 without the checks that cost much; a header that is not ASCII harms nobody but its own call."""
    return H2Configuration(
        client_side=client,
        header_encoding="latin-1",
        validate_inbound_headers=False,
        validate_outbound_headers=False,
        normalize_inbound_headers=False,
        normalize_outbound_headers=False,
    )


class _H2(H2Connection):
    """Remembers fewer of the streams that are over; 65,536 of them would be some 8 MB a connection."""

    MAX_CLOSED_STREAMS = 4_096  # more than end within a round trip, after which no frame of theirs is on its way


class Processor(EventsProcessor):
    """What happened, to whom it concerns.

    Args:
        released: called whenever a stream is over.
    """

    def __init__(self, handler: AbstractHandler, connection: Connection, released: Callable[[], None]) -> None:
        super().__init__(handler, connection)
        self._released = released

    def process(self, event: Event) -> None:
        # What is not known here was not asked for: frames of unknown type, pushes, informational answers.
        act = self.processors.get(type(event))
        if act is not None:
            cast("Callable[[Event], None]", act)(event)

    def process_data_received(self, event: DataReceived) -> None:
        if event.flow_controlled_length:  # grpclib takes an empty frame for the stream's end
            super().process_data_received(event)

    def register(self, stream: GrpcStream) -> Callable[[], None]:
        self.streams[cast("Stream", stream).id] = stream
        return partial(self._release, cast("Stream", stream))

    def _release(self, stream: Stream) -> None:
        """The stream is over; what it was sent and did not read goes back to the connection's window.

        Only the first time counts, so that whoever may be the last to know can say it too.
        """
        if self.streams.get(stream.id) is stream:
            del self.streams[stream.id]
            self.connection.ack(stream.id, stream.buffer.unacked_size())
            self._released()

    def close(self, reason: str = "the connection is closed") -> None:
        self.processors = {}
        self.connection.close()
        self.handler.close()
        for stream in list(self.streams.values()):
            stream.__terminated__(reason)


class Protocol(H2Protocol, AbstractHandler):
    """A connection from its first byte to its last; its sides are `Link` and `mesh.server.connection.Caller`."""

    connection: Connection
    processor: Processor
    side = configured(client=True)
    stream = Stream

    def __init__(self, max_message: int, max_streams: int) -> None:
        super().__init__(self, Configuration(), self.side)
        self._max_message, self._max_streams = max_message, max_streams
        self._splitter = Splitter(0 if self.side.client_side else PREFACE)
        self.heard = False
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        h2 = _H2(self.side)
        ours = {
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.MAX_CONCURRENT_STREAMS: self._max_streams,
            SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: h2.DEFAULT_MAX_HEADER_LIST_SIZE,
        }
        h2.local_settings = Settings(client=bool(self.side.client_side), initial_values=ours)
        h2.initiate_connection()
        h2.increment_flow_control_window(WINDOW - h2.inbound_flow_control_window)
        # h2 ends the connection over one stream too many, though the peer may not have heard of the limit yet.
        h2.local_settings.max_concurrent_streams = 2**31
        h2.local_settings.acknowledge()
        outbox = Outbox(cast("asyncio.Transport", transport))
        self.connection = Connection(h2, outbox, self.stream, self._max_message)
        self.processor = Processor(self, self.connection, self.released)
        self.connection.flush()

    def data_received(self, data: bytes) -> None:
        self.heard = True
        try:
            pieces = self._splitter.feed(data)
            if self._splitter.noise:
                self.noisy(self._splitter.noise)
            for piece in pieces:
                if isinstance(piece, GoAway):
                    self.goaway_received(piece)
                elif piece:
                    for event in self.connection.feed(piece):
                        self.processor.process(event)
        except Unwelcome as error:
            last = self.connection.h2.highest_inbound_stream_id
            self.connection.goaway(GoAway(last, error.code, str(error).encode()))
            self.processor.close(str(error))
        except ProtocolError as error:
            self.connection.flush()  # h2 has said GOAWAY
            self.processor.close(f"protocol error: {type(error).__name__}")
        else:
            self.connection.flush()

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002  # asyncio's
        self.connection.resume_writing()
        self.processor.close("the connection was lost")
        self.closed.set()

    def break_off(self, reason: str) -> None:
        """Ends the connection without waiting for the far side to take what is still on its way."""
        self.processor.close(reason)
        self.connection.outbox.abort()

    def noisy(self, frames: int) -> None:
        """So many frames have come that bring no call on.

        Raises:
            TooManyFrames: it is enough.
        """

    @abstractmethod
    def goaway_received(self, goaway: GoAway) -> None:
        """The far side will take no more streams than those up to `goaway.last`."""

    @abstractmethod
    def released(self) -> None:
        """A stream is over."""
