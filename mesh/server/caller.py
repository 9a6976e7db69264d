"""One connection of a caller: what it may open, how old it gets, how it ends.

Source: RFC 9113, sections 5.1.2 (concurrent streams), 6.8 (GOAWAY);
github.com/grpc/proposal/blob/master/A9-server-side-conn-mgt.md (ages).
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from grpclib.protocol import Stream as GrpcStream
from h2.errors import ErrorCodes
from h2.events import PingAckReceived

from mesh.clock import Clock
from mesh.decide.bucket import Bucket
from mesh.server.requests import Headers
from mesh.transport.connection import PING, Stream
from mesh.transport.frames import MAX_ID, GoAway, TooManyFrames
from mesh.transport.protocol import Protocol, configured

ROUND = 10.0  # seconds for a ping's way there and back
LINGER = 1.0  # seconds in which a caller that has all its answers may close first


Answer = Callable[[Any, Headers], Coroutine[Any, Any, None]]


class Caller(Protocol):
    """Runs a task for each stream.

    Args:
        answer: what the task does with the stream and its headers.
        opened: told of the connection once it is there.
        max_age: seconds after which the caller is asked to go on with another connection.
        age_grace: seconds for what is in flight then.
        max_noise: frames that bring no call on, a second; twice as many at once.
    """

    side = configured(client=False)

    def __init__(
        self,
        answer: Answer,
        opened: Callable[["Caller"], None],
        clock: Clock,
        *,
        max_message: int,
        max_streams: int,
        max_age: float,
        age_grace: float,
        max_noise: float,
    ) -> None:
        super().__init__(max_message, max_streams)
        self._answer, self._opened, self._clock = answer, opened, clock
        self._max_age, self._age_grace = max_age, age_grace
        self._noise = Bucket(max_noise, 2 * max_noise, clock.now())
        self._ageing: asyncio.Task[None] | None = None
        self._last, self._retiring = MAX_ID, False
        self._tasks: dict[GrpcStream, asyncio.Task[None]] = {}
        self._idle, self._ponged = asyncio.Event(), asyncio.Event()
        self._idle.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.processor.processors[PingAckReceived] = self._pong
        if self._max_age < float("inf"):
            self._ageing = asyncio.create_task(self._age())
        self._opened(self)

    def accept(self, stream: GrpcStream, headers: Headers, release_stream: Callable[[], None]) -> None:
        h2 = self.connection.h2
        crowded = len(self.processor.streams) > self._max_streams and h2.open_inbound_streams > self._max_streams
        if cast("Stream", stream).id > self._last or crowded:
            stream.reset_nowait(ErrorCodes.REFUSED_STREAM)
            release_stream()
            self.noisy(1)
            return
        self._idle.clear()
        self._tasks[stream] = task = asyncio.create_task(self._answer(stream, headers))
        # Not in the task itself: one that is cancelled before its first step runs no `finally`.
        task.add_done_callback(lambda _: self._ended(stream, release_stream))

    def cancel(self, stream: GrpcStream) -> None:
        if stream in self._tasks:
            self._tasks[stream].cancel()

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._ponged.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._ageing is not None:
            self._ageing.cancel()

    def noisy(self, frames: int) -> None:
        if not self._noise.take(frames, self._clock.now()):
            raise TooManyFrames("too many resets, pings, settings or empty frames")

    def goaway_received(self, goaway: GoAway) -> None:
        """It opens no more streams, and closes when it has its answers."""

    def released(self) -> None:
        if not self.processor.streams:
            self._idle.set()

    async def retire(self) -> None:
        """Has the caller go on elsewhere, answers what it asks meanwhile, and closes.

        Two steps, since streams may be on their way when it is told: the first asks for no more of them, the
        second, a round trip later, names the last that was taken.
        """
        if self._retiring or self.connection.is_closing():
            await self.closed.wait()
            return
        self._retiring = True
        self.connection.goaway(GoAway(MAX_ID))
        self.connection.ping()
        await self._within(ROUND, self._ponged)
        self._last = self.connection.h2.highest_inbound_stream_id
        self.connection.goaway(GoAway(self._last))
        await self._idle.wait()
        await self._within(LINGER, self.closed)
        self.processor.close("the connection has done its time")
        await self.closed.wait()

    async def ended(self) -> None:
        """Returns once no task is left."""
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _age(self) -> None:
        await self._clock.sleep(self._max_age)
        try:
            async with self._clock.timeout(self._age_grace):
                await self.retire()
        except TimeoutError:
            self.break_off("the connection is too old")

    async def _within(self, seconds: float, event: asyncio.Event) -> None:
        try:
            async with self._clock.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass

    def _pong(self, event: PingAckReceived) -> None:
        if event.ping_data == PING:
            self._ponged.set()

    def _ended(self, stream: GrpcStream, release: Callable[[], None]) -> None:
        del self._tasks[stream]
        release()
