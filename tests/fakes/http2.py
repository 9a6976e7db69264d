"""The far side of an HTTP/2 connection, frame by frame: it does nothing by itself, so that a test can do it wrong."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Self, TypeVar

from h2.connection import H2Connection
from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    ExtensionFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

F = TypeVar("F", bound=Frame)
Fields = dict[str, str]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_ID = 2**31 - 1
OK: Fields = {":status": "200", "content-type": "application/grpc"}
WELL: Fields = {"grpc-status": "0"}


def settings(**values: int) -> SettingsFrame:
    """SETTINGS, by the names that hyperframe has for them."""
    frame = SettingsFrame(0)
    frame.settings = {getattr(SettingsFrame, name): value for name, value in values.items()}
    return frame


def data(stream_id: int, payload: bytes, *, end: bool = False) -> DataFrame:
    return DataFrame(stream_id, payload, flags=["END_STREAM"] if end else [])


def reset(stream_id: int, code: int) -> RstStreamFrame:
    return RstStreamFrame(stream_id, code)


def goaway(last: int, code: int = 0, debug: bytes = b"") -> GoAwayFrame:
    return GoAwayFrame(0, last, code, debug)


def pong(ping: PingFrame) -> PingFrame:
    return PingFrame(0, ping.opaque_data, flags=["ACK"])


def unknown(kind: int = 0xF0, stream_id: int = 0) -> ExtensionFrame:
    frame = ExtensionFrame(kind, stream_id, body=b"whatever", flag_byte=0xFF)
    frame.body_len = len(frame.body)
    return frame


def message(body: bytes, *, flag: int = 0) -> bytes:
    """A gRPC message with its prefix."""
    return bytes([flag]) + len(body).to_bytes(4, "big") + body


def request(path: str, **fields: str) -> Fields:
    """A request's headers; an underscore stands for a hyphen."""
    base = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "far", "te": "trailers"}
    return base | {"content-type": "application/grpc"} | {name.replace("_", "-"): v for name, v in fields.items()}


def books(h2: H2Connection) -> int:
    """What the far side may still send, and what was freed and is held back until it is worth a frame."""
    return h2.inbound_flow_control_window + int(h2._inbound_flow_control_window_manager._bytes_processed)


class Peer:
    """One connection.

    Attributes:
        seen: every frame that was read, with its fields where it is HEADERS.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._encoder, self._decoder = Encoder(), Decoder()
        self.seen: list[tuple[Frame, Fields]] = []

    def headers(self, stream_id: int, fields: Fields | Iterable[tuple[str, str]], *, end: bool = False) -> HeadersFrame:
        flags = ["END_HEADERS", *(["END_STREAM"] if end else [])]
        pairs = list(fields.items()) if isinstance(fields, dict) else list(fields)
        return HeadersFrame(stream_id, self._encoder.encode(pairs), flags=flags)

    def answer(self, stream_id: int, body: bytes) -> list[Frame]:
        """All of an answer that is well."""
        return [
            self.headers(stream_id, OK),
            data(stream_id, message(body)),
            self.headers(stream_id, WELL, end=True),
        ]

    def send(self, *frames: Frame | bytes) -> None:
        """Sends all of it in one write."""
        self._writer.write(b"".join(each if isinstance(each, bytes) else each.serialize() for each in frames))

    async def read(self) -> tuple[Frame, Fields]:
        """The next frame, and its fields where it is HEADERS.

        Raises:
            IncompleteReadError, ConnectionError: the connection is closed.
        """
        head = await self._reader.readexactly(9)
        frame, length = Frame.parse_frame_header(memoryview(head))
        frame.parse_body(memoryview(await self._reader.readexactly(length)))
        fields = dict(self._decoder.decode(frame.data)) if isinstance(frame, HeadersFrame) else {}
        self.seen.append((frame, {str(name): str(value) for name, value in fields.items()}))
        return self.seen[-1]

    async def next(self, kind: type[F], stream_id: int | None = None) -> F:
        """Reads until there is a frame of this kind; acknowledgements do not count."""
        return (await self.next_with_fields(kind, stream_id))[0]

    async def next_with_fields(self, kind: type[F], stream_id: int | None = None) -> tuple[F, Fields]:
        async with asyncio.timeout(20):
            while True:
                frame, fields = await self.read()
                fits = stream_id is None or frame.stream_id == stream_id
                if isinstance(frame, kind) and fits and "ACK" not in frame.flags:
                    return frame, fields

    async def answers(self) -> None:
        """Returns once the far side has taken all that it was sent."""
        self.send(PingFrame(0, b"a flight"))
        async with asyncio.timeout(20):
            while True:
                frame, _ = await self.read()
                if isinstance(frame, PingFrame) and "ACK" in frame.flags:
                    return

    def kinds(self) -> list[type[Frame]]:
        """Of all the frames that were read."""
        return [type(frame) for frame, _ in self.seen]

    async def closed(self) -> None:
        """Reads until the far side has closed."""
        async with asyncio.timeout(20):
            try:
                while True:
                    await self.read()
            except (asyncio.IncompleteReadError, ConnectionError):
                return

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Peer]:
    """A client of a server, after its preface and its SETTINGS."""
    host, _, port = address.rpartition(":")
    peer = Peer(*await asyncio.open_connection(host, int(port)))
    peer.send(PREFACE, settings())
    try:
        yield peer
    finally:
        await peer.close()


class Listening:
    """A server that leaves everything to the test; before it hands over a connection it has read the preface.

    Attributes:
        address: "host:port".
    """

    def __init__(self) -> None:
        self._accepted: asyncio.Queue[Peer] = asyncio.Queue()
        self._peers: list[Peer] = []

    async def peer(self, *frames: Frame) -> Peer:
        """The next connection that was made; it is sent these frames, or else SETTINGS."""
        async with asyncio.timeout(20):
            peer = await self._accepted.get()
        peer.send(*(frames or [settings()]))
        return peer

    @property
    def pending(self) -> int:
        """Connections that nobody has asked for yet."""
        return self._accepted.qsize()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._made, "127.0.0.1", 0)
        self.address = "{}:{}".format(*self._server.sockets[0].getsockname()[:2])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for peer in self._peers:
            await peer.close()
        await self._server.wait_closed()

    async def _made(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self._peers.append(peer)
        await reader.readexactly(len(PREFACE))
        self._accepted.put_nowait(peer)
