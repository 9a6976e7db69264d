"""One HTTP/2 connection of a client, from its first SETTINGS to its last stream.

Source: RFC 9113, sections 6.8 (GOAWAY), 8.7 (REFUSED_STREAM);
github.com/grpc/proposal/blob/master/A8-client-side-keepalive.md.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NoReturn
from typing import Protocol as Interface

from grpclib.utils import Wrapper
from h2.errors import ErrorCodes
from h2.events import RemoteSettingsChanged, StreamReset

from mesh.clock import Clock
from mesh.errors import Refused
from mesh.transport.connection import Stream
from mesh.transport.frames import MAX_ID, GoAway
from mesh.transport.protocol import Protocol, configured

IDLE = 60.0  # seconds without a call after which a connection is given up
UNANSWERED = 2  # pings in a row
TOO_MANY_PINGS = (ErrorCodes.ENHANCE_YOUR_CALM, b"too_many_pings")


class Owner(Interface):
    """Whoever keeps the links to one address.

    Attributes:
        keepalive: seconds of silence before a link's far side is asked whether it is there.
    """

    keepalive: float

    def freed(self) -> None:
        """There may be room for a stream."""

    def left(self, link: "Link") -> None:
        """It takes no new streams any more."""


class _ClientStream(Stream):
    def reset_nowait(self, error_code: ErrorCodes = ErrorCodes.CANCEL) -> None:
        super().reset_nowait(error_code)


class Link(Protocol):
    """Opens streams for as long as the far side takes them.

    Attributes:
        ready: set once the far side's SETTINGS have arrived, or it is certain that they will not.
    """

    side = configured(client=True)
    stream = _ClientStream

    def __init__(self, owner: Owner, clock: Clock, max_message: int) -> None:
        super().__init__(max_message, max_streams=0)
        self._owner, self._clock = owner, clock
        self._leaving, self._used = False, True
        self._most = 0
        self.ready = asyncio.Event()

    @property
    def room(self) -> int:
        """How many streams may be opened now; 0 or less for none."""
        return 0 if self._leaving else self._most - len(self.processor.streams)

    @property
    def lives(self) -> bool:
        """May streams be opened, now or when others are over?"""
        return not self._leaving

    def open(self, headers: Sequence[tuple[str, str]], wrapper: Wrapper) -> tuple[Stream, Callable[[], None]]:
        """Sends a request's headers; only while there is `room`.

        Returns:
            The stream, and what to call once it is over.
        """
        connection = self.connection
        stream = connection.create_stream(wrapper=wrapper)
        stream_id = connection.h2.get_next_available_stream_id()
        connection.h2.send_headers(stream_id, headers)
        stream.init_stream(stream_id, connection)
        self._used = True
        if stream_id + 2 > MAX_ID:
            self._leave()
        release = self.processor.register(stream)
        connection.flush()
        return stream, release

    def close_when_idle(self) -> None:
        """Takes no more streams, and closes when the last is over."""
        self._leave()
        if not self.processor.streams and not self.connection.is_closing():
            self.connection.goaway(GoAway(0))
            self.connection.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.processor.processors |= {RemoteSettingsChanged: self._settings, StreamReset: self._reset}
        self._keeping = asyncio.create_task(self._keep_alive())

    def goaway_received(self, goaway: GoAway) -> None:
        if (goaway.code, goaway.debug) == TOO_MANY_PINGS:
            self._owner.keepalive *= 2
        for stream_id, stream in list(self.processor.streams.items()):
            if stream_id > goaway.last and stream.wrapper is not None:
                stream.wrapper.cancel(Refused("the far side went away before it began with the call"))
        self.close_when_idle()

    def released(self) -> None:
        if self._leaving:
            self.close_when_idle()
        else:
            self._owner.freed()

    def accept(self, stream: object, headers: object, release_stream: object) -> NoReturn:  # noqa: ARG002  # grpclib's
        raise AssertionError("h2 lets no server open a stream")

    def cancel(self, stream: object) -> None:
        """Its caller has been woken already."""

    def close(self) -> None:
        self._leave()
        self._keeping.cancel()
        self.ready.set()

    def _leave(self) -> None:
        if not self._leaving:
            self._leaving = True
            self._owner.left(self)

    def _settings(self, event: RemoteSettingsChanged) -> None:
        self.processor.process_remote_settings_changed(event)
        self._most = self.connection.h2.remote_settings.max_concurrent_streams
        self.ready.set()
        self._owner.freed()

    def _reset(self, event: StreamReset) -> None:
        stream = self.processor.streams.get(event.stream_id)
        if stream is not None and stream.wrapper is not None and event.error_code == ErrorCodes.REFUSED_STREAM:
            stream.wrapper.cancel(Refused("the far side refused the stream before it began with the call"))
        else:
            self.processor.process_stream_reset(event)

    async def _keep_alive(self) -> None:
        """Asks a silent far side whether it is there, and ends the connection if it is not or is not needed."""
        unanswered, idle = 0, 0.0
        while idle < IDLE:
            every = self._owner.keepalive
            await self._clock.sleep(every)
            idle = 0.0 if self._used or self.processor.streams else idle + every
            self._used = False
            if self.heard:
                self.heard, unanswered = False, 0
            elif unanswered == UNANSWERED:
                return self.break_off(f"{UNANSWERED} pings were not answered")
            else:
                self.connection.ping()
                unanswered += 1
        return self.close_when_idle()
