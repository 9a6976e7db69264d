"""What must be seen of a connection's bytes before h2 sees them.

h2 looks at a frame's length once the whole frame is there, and ends its whole state on any GOAWAY. So an
overlong frame is refused here by its header, and GOAWAY is taken out; every other byte passes as it came.

Source: RFC 9113, sections 4.1 (frames), 4.2 (their size), 6.8 (GOAWAY).
"""

import struct
from typing import NamedTuple, Self

from h2.errors import ErrorCodes

MAX_FRAME = 16_384
"""Bytes of one frame's payload that we take: what SETTINGS_MAX_FRAME_SIZE is unless one says otherwise."""
MAX_ID = 2**31 - 1
"""The highest stream id there can be; in a GOAWAY: all that was begun goes on, nothing new please."""
PREFACE = 24
"""Bytes that a client sends before its first frame."""

_HEAD = 9
_DATA, _HEADERS, _PUSH_PROMISE, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0x0, 0x1, 0x5, 0x7, 0x8, 0x9
_BLOCKS = frozenset({_HEADERS, _PUSH_PROMISE, _CONTINUATION})
_CALLS = _BLOCKS | {_DATA, _GOAWAY, _WINDOW_UPDATE}
_END_HEADERS = 0x4
_LAST = {
    _DATA: 0x1,
    _HEADERS: _END_HEADERS,
    _CONTINUATION: _END_HEADERS,
}  # the flag that gives an empty frame its sense


class Unwelcome(Exception):
    """What arrives is not taken, and the connection ends.

    Attributes:
        code: why, by RFC 9113, section 7.
    """

    code: int


class FrameTooLong(Unwelcome):
    """A frame's header announces more than may be buffered."""

    code = ErrorCodes.FRAME_SIZE_ERROR


class TooManyFrames(Unwelcome):
    """Frames that cost their sender nothing come faster than anybody needs them."""

    code = ErrorCodes.ENHANCE_YOUR_CALM


class GoAway(NamedTuple):
    """Streams above `last` were not processed and never will be.

    Attributes:
        code: why, by RFC 9113, section 7; 0 where nothing is wrong.
        debug: more of it, for people.
    """

    last: int
    code: int = 0
    debug: bytes = b""

    def frame(self) -> bytes:
        payload = struct.pack(">LL", self.last, self.code) + self.debug
        return len(payload).to_bytes(3, "big") + struct.pack(">BBL", _GOAWAY, 0, 0) + payload

    @classmethod
    def read(cls, payload: bytes) -> Self:
        last, code = struct.unpack_from(">LL", payload)
        return cls(last & MAX_ID, code, bytes(payload[8:]))


class Splitter:
    """Follows the frames of one direction of one connection.

    Args:
        skip: bytes before the first frame, which pass unseen.

    Attributes:
        noise: frames of the last `feed` that bring no call on: resets, pings, settings, priorities, unknown ones,
            and empty pieces of messages and headers.
    """

    def __init__(self, skip: int = 0) -> None:
        self.noise = 0
        self._skip = skip  # bytes until the next frame's header
        self._held = b""  # a header, or a GOAWAY, that is not whole yet
        self._in_block = False  # between HEADERS and END_HEADERS, where only h2 knows what is wrong

    def feed(self, data: bytes) -> list[bytes | GoAway]:
        """What has arrived, in order: bytes for h2, and each GOAWAY.

        Raises:
            FrameTooLong: nothing of what was given goes on to h2.
        """
        if self._held:
            data, self._held = self._held + data, b""
        self.noise = 0
        pieces: list[bytes | GoAway] = []
        start, at, end = 0, self._skip, len(data)
        while at + _HEAD <= end:
            length, kind = int.from_bytes(data[at : at + 3], "big"), data[at + 3]
            if length > MAX_FRAME:
                raise FrameTooLong(f"a frame of {length} bytes was announced; {MAX_FRAME} is the most")
            after = at + _HEAD + length
            if kind not in _CALLS or (not length and not data[at + 4] & _LAST.get(kind, 0)):
                self.noise += 1
            if kind in _BLOCKS:
                self._in_block = not data[at + 4] & _END_HEADERS
            elif kind == _GOAWAY and length >= 8 and self._is_ours(data, at):  # noqa: PLR2004  # two numbers of four bytes
                if after > end:
                    break
                pieces += [data[start:at], GoAway.read(data[at + _HEAD : after])]
                start = after
            at = after
        if at < end:
            self._held, end = data[at:], at
        self._skip = at - end
        pieces.append(data[start:end])
        return pieces

    def _is_ours(self, data: bytes, at: int) -> bool:
        """False for a GOAWAY that is out of place: h2 ends the connection on it, as it should."""
        return not self._in_block and not int.from_bytes(data[at + 5 : at + _HEAD], "big") & MAX_ID
