"""What is looked at before h2: wherever the bytes are cut, the same comes out."""

from typing import Any

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from mesh.transport import timeouts
from mesh.transport.frames import MAX_FRAME, MAX_ID, FrameTooLong, GoAway, Splitter
from tests.fakes.http2 import PREFACE, unknown

GOAWAYS = st.builds(
    GoAwayFrame,
    st.just(0),
    last_stream_id=st.integers(0, MAX_ID),
    error_code=st.integers(0, 13),
    additional_data=st.binary(max_size=20),
)
OTHERS = st.one_of(
    st.builds(DataFrame, st.integers(1, 9), st.binary(max_size=40)),
    st.builds(HeadersFrame, st.integers(1, 9), st.binary(max_size=40), flags=st.just(["END_HEADERS"])),
    st.builds(PingFrame, st.just(0), st.binary(min_size=8, max_size=8)),
    st.builds(unknown, st.integers(0x20, 0xFF), st.integers(0, 9)),
)


def split(splitter: Splitter, pieces: list[bytes]) -> tuple[bytes, list[GoAway]]:
    """What h2 gets, and what is taken out."""
    found: list[Any] = [found for piece in pieces for found in splitter.feed(piece)]
    passed = b"".join(each for each in found if not isinstance(each, GoAway))
    return passed, [each for each in found if isinstance(each, GoAway)]


@st.composite
def cut(draw: st.DrawFn, whole: bytes) -> list[bytes]:
    places = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    return [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]


@given(frames=st.lists(st.one_of(OTHERS, GOAWAYS), max_size=8), first=st.sampled_from([b"", PREFACE]), draw=st.data())
def test_goaway_is_taken_out_and_all_else_passes_wherever_the_bytes_are_cut(
    frames: list[Frame], first: bytes, draw: st.DataObject
) -> None:
    """TCP cuts where it likes; a byte lost or doubled here would end the connection."""
    pieces = draw.draw(cut(first + b"".join(frame.serialize() for frame in frames)))
    passed, taken = split(Splitter(len(first)), pieces)
    assert passed == first + b"".join(frame.serialize() for frame in frames if not isinstance(frame, GoAwayFrame))
    expected = [each for each in frames if isinstance(each, GoAwayFrame)]
    assert taken == [GoAway(each.last_stream_id, each.error_code, each.additional_data) for each in expected]


NOISE: list[Frame] = [
    RstStreamFrame(1, 8),
    PingFrame(0, bytes(8)),
    PingFrame(0, bytes(8), flags=["ACK"]),
    SettingsFrame(0),
    PriorityFrame(1),
    DataFrame(1, b""),
    HeadersFrame(1, b""),
    ContinuationFrame(1, b""),
    unknown(),
]
CALLS: list[Frame] = [
    DataFrame(1, b"a"),
    DataFrame(1, b"", flags=["END_STREAM"]),
    HeadersFrame(1, b"a"),
    ContinuationFrame(1, b"", flags=["END_HEADERS"]),
    WindowUpdateFrame(0, 1),
    GoAwayFrame(0),
]


@given(st.lists(st.sampled_from([(1, each) for each in NOISE] + [(0, each) for each in CALLS])), st.data())
def test_frames_that_bring_no_call_on_are_counted_wherever_the_bytes_are_cut(
    frames: list[tuple[int, Frame]], draw: st.DataObject
) -> None:
    """A flood is told by its count; one that hides behind a flag without sense counts as well."""
    splitter, noise = Splitter(), 0
    for piece in draw.draw(cut(b"".join(frame.serialize() for _, frame in frames))):
        splitter.feed(piece)
        noise += splitter.noise
    assert noise == sum(counts for counts, _ in frames)
    splitter = Splitter()
    splitter.feed(b"\0\0\0\0\4\0\0\0\1")  # an empty DATA with a flag that it does not have
    assert splitter.noise == 1


@given(st.builds(GoAway, st.integers(0, MAX_ID), st.integers(0, 13), st.binary(max_size=300)))
def test_a_goaway_that_we_write_is_read_as_it_was(goaway: GoAway) -> None:
    """It is written past h2, so nobody else checks its form."""
    frame, length = Frame.parse_frame_header(memoryview(goaway.frame()[:9]), strict=True)
    assert length == len(goaway.frame()) - 9
    assert (type(frame), frame.stream_id) == (GoAwayFrame, 0)
    assert split(Splitter(), [goaway.frame()]) == (b"", [goaway])


def test_a_frame_of_the_greatest_length_passes_and_one_byte_more_is_refused_by_its_header() -> None:
    """h2 would buffer 16 MiB before it says a word."""
    head = MAX_FRAME.to_bytes(3, "big") + bytes(6)
    assert split(Splitter(), [head]) == (head, [])
    with pytest.raises(FrameTooLong, match="16385 bytes"):
        Splitter().feed((MAX_FRAME + 1).to_bytes(3, "big") + bytes(6))


@pytest.mark.parametrize(
    "bad",
    [
        GoAwayFrame(0).serialize()[:5] + b"\0\0\0\1" + bytes(8),  # of a stream
        b"\0\0\4\7\0\0\0\0\0" + bytes(4),  # too short
        HeadersFrame(1, b"").serialize() + GoAwayFrame(0).serialize(),  # in the middle of a header block
        HeadersFrame(1, b"").serialize() + ContinuationFrame(1, b"").serialize() + GoAwayFrame(0).serialize(),
    ],
)
def test_a_goaway_that_is_out_of_place_is_left_to_h2(bad: bytes) -> None:
    """It is a connection error, which h2 knows how to tell."""
    assert split(Splitter(), [bad]) == (bad, [])


def test_after_a_header_block_goaway_is_taken_out_again() -> None:
    """A header block over several frames has an end."""
    block = HeadersFrame(1, b"").serialize() + ContinuationFrame(1, b"", flags=["END_HEADERS"]).serialize()
    assert split(Splitter(), [block + GoAway(3).frame()]) == (block, [GoAway(3)])


@given(st.floats(min_value=-1, max_value=1e12))
def test_a_timeout_is_never_lengthened_on_its_way_and_hardly_shortened(seconds: float) -> None:
    """Each hop would otherwise work for somebody who has gone, or give up while there is time."""
    read = timeouts.read(timeouts.written(seconds))
    assert read <= max(0.0, seconds) * (1 + 1e-12)
    if 0 < seconds < 99_999_999:
        assert read >= seconds * 0.99 - 1e-6


@pytest.mark.parametrize(
    ("text", "seconds"), [("0n", 0), ("1u", 1e-6), ("250m", 0.25), ("2M", 120), ("99999999H", 359999996400)]
)
def test_timeouts_are_read_in_every_unit(text: str, seconds: float) -> None:
    """Other languages write other units."""
    assert timeouts.read(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "S", "-1S", "1.5S", "1s", "123456789S", "٣S", "1S ", "1SS"])
def test_what_is_no_timeout_is_not_read(text: str) -> None:
    """The form is fixed; a guess could be wrong by a factor of sixty."""
    with pytest.raises(ValueError, match="grpc-timeout"):
        timeouts.read(text)
