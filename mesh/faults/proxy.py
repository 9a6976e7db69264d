"""A TCP proxy that troubles whatever passes through it. It knows nothing of what it carries."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random, SystemRandom
from types import TracebackType
from typing import Self, cast

from mesh.clock import Clock, SystemClock
from mesh.transport import split_address

PIECE = 65_536  # bytes read at a time
UNDER_WAY = 64  # pieces that may be on their way at one time in one direction
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset, whatever is still to be sent


@dataclass(frozen=True, slots=True)
class Trouble:
    """What befalls the bytes of every connection, in both directions.

    Attributes:
        latency: seconds that each piece is under way,
        jitter: and up to so many more, by chance; the order stays.
        bandwidth: bytes a second in each direction.
        slice: bytes of a piece at the most; 0 for as they come.
        reset: the chance of each piece, 0 to 1, to end its connection by a reset instead of arriving.
        slow_close: seconds by which the end of a stream is late.
        black_hole: nothing passes. Connections are taken, and what waits passes when this ends, as TCP would have it.
    """

    latency: float = 0.0
    jitter: float = 0.0
    bandwidth: float = float("inf")
    slice: int = 0
    reset: float = 0.0
    slow_close: float = 0.0
    black_hole: bool = False


class Proxy:
    """Passes connections on to a target while its block is entered.

    Args:
        target: "host:port".
        port: 0 takes a free one.
        rng: one with a seed repeats what is drawn.

    Attributes:
        address: "host:port", to be called instead of the target.

    Raises:
        ValueError: the target is not "host:port".
    """

    def __init__(
        self,
        target: str,
        *,
        trouble: Trouble | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
        rng: Random | None = None,
    ) -> None:
        self._target, self._host, self._port = split_address(target), host, port
        self.clock, self.rng = clock or SystemClock(), rng or SystemRandom()
        self._connections = dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]]()
        self.passing = asyncio.Event()
        self.set(trouble or Trouble())
        self.address = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, self._host, self._port)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def connections(self) -> int:
        """Those that are open."""
        return len(self._connections)

    def set(self, trouble: Trouble) -> None:
        """From here on this holds, for connections that are open as well."""
        self.trouble = trouble
        if trouble.black_hole:
            self.passing.clear()
        else:
            self.passing.set()

    def reset(self) -> None:
        """Ends every connection by a reset on both of its sides."""
        for writers in self._connections.values():
            _reset(*writers)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass_on(reader, writer))
        self._connections[task] = (writer,)
        task.add_done_callback(self._ended)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            writers.append(far_writer)
            self._connections[cast("asyncio.Task[None]", asyncio.current_task())] = tuple(writers)
            async with asyncio.TaskGroup() as pipes:
                pipes.create_task(_Pipe(self, reader, far_writer).run())
                pipes.create_task(_Pipe(self, far_reader, writer).run())
        except* OSError:
            _reset(*writers)

    def _ended(self, task: asyncio.Task[None]) -> None:
        for writer in self._connections.pop(task):
            writer.close()


class _Pipe:
    """One direction of one connection."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy, self._reader, self._writer = proxy, reader, writer
        self._under_way = asyncio.Queue[tuple[float, bytes]](UNDER_WAY)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as ends:
            ends.create_task(self._take())
            ends.create_task(self._give())

    async def _take(self) -> None:
        data = b"begin"
        while data:
            data = await self._reader.read(PIECE)
            await self._under_way.put((self._proxy.clock.now() + self._delay(ends=not data), data))

    async def _give(self) -> None:
        clock = self._proxy.clock
        while True:
            due, data = await self._under_way.get()
            if (left := due - clock.now()) > 0:
                await clock.sleep(left)
            await self._proxy.passing.wait()
            if not data:
                self._writer.write_eof()
                return
            for piece in _sliced(data, self._proxy.trouble.slice):
                await self._write(piece)

    async def _write(self, piece: bytes) -> None:
        trouble = self._proxy.trouble
        if trouble.reset and self._proxy.rng.random() < trouble.reset:
            raise ConnectionResetError
        self._writer.write(piece)
        await self._writer.drain()
        if (seconds := len(piece) / trouble.bandwidth) > 0:
            await self._proxy.clock.sleep(seconds)

    def _delay(self, *, ends: bool) -> float:
        trouble = self._proxy.trouble
        jitter = self._proxy.rng.uniform(0.0, trouble.jitter) if trouble.jitter else 0.0
        return trouble.latency + jitter + (trouble.slow_close if ends else 0.0)


def _sliced(data: bytes, size: int) -> Iterator[bytes]:
    size = size or len(data)
    for at in range(0, len(data), size):
        yield data[at : at + size]


def _reset(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        with suppress(OSError):  # it is closed already
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        writer.transport.abort()
