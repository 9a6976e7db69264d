"""The connections to one address: one as a rule, and more where its streams run out."""

import asyncio
from collections import deque
from weakref import WeakSet

from grpclib.encoding.base import GRPC_CONTENT_TYPE
from grpclib.events import _DispatchChannelEvents
from grpclib.metadata import USER_AGENT

from mesh.clock import Clock
from mesh.errors import Unreachable
from mesh.transport.link import Link

KEEPALIVE = 10.0  # seconds of silence
CLOSED = "it was closed here"
CONNECT = 5.0  # seconds until the far side's SETTINGS must have arrived


class Channel:
    """Finds each call a connection that takes it at once.

    Args:
        max_message: bytes of one answer.
        max_links: connections at one time, those aside that only wait for their last calls.
    """

    # grpclib's stream asks its channel for these.
    _scheme = "http"
    _calls_succeeded = _calls_failed = 0

    def __init__(self, host: str, port: int, clock: Clock, *, max_message: int, max_links: int) -> None:
        self._host, self._port, self._clock = host, port, clock
        self._max_message, self._max_links = max_message, max_links
        self._authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.dispatch = _DispatchChannelEvents()  # grpclib's stream wants one; nobody listens
        self.keepalive = KEEPALIVE
        self._links: list[Link] = []
        self._old: WeakSet[Link] = WeakSet()
        self._waiting: deque[asyncio.Future[str]] = deque()
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False

    async def link(self) -> Link:
        """A connection on which a stream may be opened now, without an await in between.

        Raises:
            Unreachable: there is none, and none could be made.
        """
        enqueue = self._waiting.append
        while (link := self._free()) is None:
            if self._closed:
                raise Unreachable(CLOSED)
            turn: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            enqueue(turn)
            self._grow()
            if failure := await self._comes(turn):
                raise Unreachable(failure)
            enqueue = self._waiting.appendleft  # whoever was before us keeps the place
        return link

    def headers(self, path: str) -> tuple[tuple[str, str], ...]:
        """What each request begins with."""
        return (
            (":method", "POST"),
            (":scheme", self._scheme),
            (":path", path),
            (":authority", self._authority),
            ("te", "trailers"),
            ("content-type", GRPC_CONTENT_TYPE),
            ("user-agent", USER_AGENT),
        )

    def freed(self) -> None:
        """There may be room for a stream: as many go on as there is room for."""
        if self._waiting:
            self._wake(sum(max(0, link.room) for link in self._links))

    def left(self, link: Link) -> None:
        """A link takes no new streams any more."""
        if link in self._links:
            self._links.remove(link)
        self._old.add(link)
        self._grow()

    def close_when_idle(self) -> None:
        """Ends each connection when its last call is over."""
        for link in list(self._links):
            link.close_when_idle()

    def close(self) -> None:
        """Ends the connections; calls under way are lost."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        for link in [*self._links, *self._old]:
            link.processor.close(CLOSED)
        self._wake(len(self._waiting), CLOSED)

    def _free(self) -> Link | None:
        for link in self._links:
            if link.room > 0:
                return link
        return None

    def _grow(self) -> None:
        """Makes another connection if somebody waits and there may be one more."""
        if self._waiting and self._connecting is None and len(self._links) < self._max_links:
            self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        failure = ""
        try:
            async with self._clock.timeout(CONNECT):
                await self._made()
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            failure = f"no connection to {self._authority}: {type(error).__name__}"
        finally:
            self._connecting = None
        if not failure:
            self.freed()
            self._grow()
        elif not self._links:
            self._wake(len(self._waiting), failure)

    async def _made(self) -> None:
        make = asyncio.get_running_loop().create_connection
        _, link = await make(lambda: Link(self, self._clock, self._max_message), self._host, self._port)
        try:
            await link.ready.wait()
        except asyncio.CancelledError:
            link.break_off("it was given up while it began")
            raise
        if not link.lives:
            raise ConnectionResetError
        self._links.append(link)

    def _wake(self, count: int, failure: str = "") -> None:
        while count > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(failure)
                count -= 1

    async def _comes(self, turn: asyncio.Future[str]) -> str:
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._wake(1)  # it was our turn, and is somebody else's now
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise
