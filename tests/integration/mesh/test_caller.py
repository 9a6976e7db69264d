"""Our server against a client that the test plays frame by frame."""

import asyncio
from random import Random

import pytest
from hyperframe.frame import (
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

from mesh.server import Server
from mesh.server.caller import Caller
from mesh.status import Status
from mesh.testing import TurnedClock
from mesh.transport.frames import MAX_FRAME
from mesh.transport.protocol import WINDOW
from mesh.wire.mesh.registry import v1 as pb
from tests.fakes import http2
from tests.fakes.http2 import Fields, Peer, connected
from tests.fakes.waiting import until
from tests.integration.mesh.conftest import To
from tests.integration.mesh.echo import PATH, call, serving

NO_ERROR, PROTOCOL_ERROR, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0, 1, 6, 7, 8, 11
SAY = http2.request(PATH + "Renew")
WATCH = http2.request(PATH + "Watch")


class Middling(Random):
    """Chance that never surprises."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def asks(peer: Peer, stream: int, word: str, **fields: str) -> list[Frame]:
    """A whole request."""
    message = http2.message(bytes(pb.Lease(lease_id=word)))
    return [peer.headers(stream, SAY | fields), http2.data(stream, message, end=True)]


async def status_of(peer: Peer, stream: int) -> Status:
    """What a stream was answered with in the end."""
    while True:
        _, fields = await peer.next_with_fields(HeadersFrame, stream)
        if "grpc-status" in fields:
            return Status(int(fields["grpc-status"]))


async def says(peer: Peer, stream: int, word: str = "hello") -> Status:
    peer.send(*asks(peer, stream, word))
    return await status_of(peer, stream)


def only(server: Server) -> Caller:
    (caller,) = server._callers
    return caller


# What is not understood


async def test_frames_of_unknown_types_are_ignored() -> None:
    """So that the protocol can be extended, and clients send what they like to say."""
    async with serving() as (server, _, _), connected(server.address) as peer:
        peer.send(http2.unknown(), http2.unknown(0xF1, 1), http2.unknown(0x10, 0))
        assert await says(peer, 1) is Status.OK


@pytest.mark.parametrize("kind", [0x0, 0xF0])
async def test_an_overlong_frame_ends_the_connection_at_its_header(kind: int) -> None:
    """Sixteen megabytes of every connection would be buffered before h2 says a word."""
    async with serving() as (server, echo, _), connected(server.address) as peer:
        peer.send(*asks(peer, 1, "wait"))
        await echo.arrived.wait()
        peer.send((MAX_FRAME + 1).to_bytes(3, "big") + bytes([kind, 0, 0, 0, 0, 1]))
        told = await peer.next(GoAwayFrame)
        assert (told.error_code, told.last_stream_id) == (FRAME_SIZE_ERROR, 1)
        await peer.closed()
        await until(lambda: echo.cancelled == 1)


async def test_a_broken_rule_is_told_before_the_connection_is_closed() -> None:
    """Whoever wrote that client learns what is wrong."""
    async with serving() as (server, _, _), connected(server.address) as peer:
        peer.send(http2.data(1, b"of no stream"))
        assert (await peer.next(GoAwayFrame)).error_code == PROTOCOL_ERROR
        await peer.closed()


async def test_a_header_that_is_not_ascii_harms_nobody_but_its_own_call() -> None:
    """The calls beside it on the connection are somebody else's."""
    async with serving() as (server, _, _), connected(server.address) as peer:
        peer.send(*asks(peer, 1, "hello", who="Nováková"))
        assert await status_of(peer, 1) is Status.OK
        assert await says(peer, 3) is Status.OK


# Requests that are refused


REFUSED: dict[str, tuple[Fields, Status]] = {
    "no time": ({"grpc-timeout": "0n"}, Status.DEADLINE_EXCEEDED),
    "hardly any time": ({"grpc-timeout": "1n"}, Status.DEADLINE_EXCEEDED),
    "a timeout that is none": ({"grpc-timeout": "soon"}, Status.INTERNAL),
    "a timeout of nine digits": ({"grpc-timeout": "123456789S"}, Status.INTERNAL),
    "metadata that is no base64": ({"x-bin": "a"}, Status.INTERNAL),
    "an unknown method": ({":path": "/no.Such/Method"}, Status.UNIMPLEMENTED),
    "compressed": ({"grpc-encoding": "gzip"}, Status.UNIMPLEMENTED),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_a_request_that_cannot_be_taken_is_answered_with_its_own_status(why: str) -> None:
    """Clients decide by the status; UNKNOWN would tell them nothing."""
    fields, status = REFUSED[why]
    async with serving() as (server, echo, _), connected(server.address) as peer:
        peer.send(*asks(peer, 1, "hello", **fields))
        _, told = await peer.next_with_fields(HeadersFrame, 1)
        assert (told[":status"], told["grpc-status"]) == ("200", str(status.value))
        assert told["content-type"].startswith("application/grpc")
        assert told.get("grpc-accept-encoding") == ("identity" if why == "compressed" else None)
        assert echo.handled == []
        assert await says(peer, 3) is Status.OK


@pytest.mark.parametrize(
    ("fields", "status"),
    [({":method": "GET"}, "405"), ({"content-type": "application/json"}, "415"), ({"te": ""}, "400")],
)
async def test_what_is_no_call_is_told_so_in_plain_words(fields: Fields, status: str) -> None:
    """A person with curl, or a proxy that drops trailers, is at the other end."""
    given = {name: value for name, value in (SAY | fields).items() if value}
    async with serving() as (server, _, _), connected(server.address) as peer:
        peer.send(peer.headers(1, given, end=True))
        _, told = await peer.next_with_fields(HeadersFrame, 1)
        assert (told[":status"], told["content-type"]) == (status, "text/plain")
        assert (await peer.next(DataFrame, 1)).data.endswith(b"\n")


MALFORMED: dict[str, list[tuple[str, str]]] = {
    "an upper-case name": [*SAY.items(), ("Who", "me")],
    "an unknown pseudo-header": [(":who", "me"), *SAY.items()],
    "a pseudo-header twice": [(":path", "/"), *SAY.items()],
    "a pseudo-header after others": [*list(SAY.items())[1:], (":method", "POST")],
    "no path": [pair for pair in SAY.items() if pair[0] != ":path"],
    "an empty path": [*(SAY | {":path": ""}).items()],
    "a header of HTTP/1.1": [*SAY.items(), ("connection", "close")],
    "another te": [*(SAY | {"te": "gzip"}).items()],
}


@pytest.mark.parametrize("why", MALFORMED)
async def test_a_malformed_request_ends_its_stream_and_no_other(why: str) -> None:
    """RFC 9113, section 8.1.1: a stream error."""
    async with serving() as (server, _, _), connected(server.address) as peer:
        peer.send(*asks(peer, 1, "wait"), peer.headers(3, MALFORMED[why]))
        assert (await peer.next(RstStreamFrame, 3)).error_code == PROTOCOL_ERROR
        assert await says(peer, 5) is Status.OK


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (b"\0" + (1 << 30).to_bytes(4, "big"), Status.RESOURCE_EXHAUSTED),
        (http2.message(b"x", flag=1), Status.INTERNAL),
        (b"\0\0\0\0\5ab", Status.INTERNAL),
    ],
    ids=["a gigabyte", "compressed without an encoding", "cut short"],
)
async def test_a_message_that_cannot_be_taken_is_refused_at_its_prefix(payload: bytes, status: Status) -> None:
    """A gigabyte that is announced is not waited for."""
    async with serving() as (server, echo, _), connected(server.address) as peer:
        cut = payload.endswith(b"ab")
        peer.send(peer.headers(1, SAY), http2.data(1, payload, end=cut))
        assert await status_of(peer, 1) is status
        assert await says(peer, 3) is Status.OK
        assert echo.handled == ["hello"]


# How many


async def test_a_stream_too_many_is_refused_and_the_others_go_on() -> None:
    """A client may not have heard of the limit yet; h2 would end the connection with all that is on it."""
    async with serving(max_streams=3) as (server, echo, _), connected(server.address) as peer:
        peer.send(*(frame for stream in (1, 3, 5, 7) for frame in asks(peer, stream, "wait")))
        assert (await peer.next(RstStreamFrame)).stream_id == 7
        assert next(frame for frame, _ in peer.seen if isinstance(frame, SettingsFrame)).settings[3] == 3
        await until(lambda: echo.handled == ["wait"] * 3)
        echo.go_on.set()
        assert [await status_of(peer, stream) for stream in (1, 3, 5)] == [Status.OK] * 3
        assert await says(peer, 9) is Status.OK


async def test_streams_that_are_cancelled_make_room_at_once() -> None:
    """A client counts its own streams; what it has cancelled is none of them."""
    async with serving(max_streams=2) as (server, echo, _), connected(server.address) as peer:
        peer.send(*(frame for stream in (1, 3) for frame in asks(peer, stream, "wait")))
        await until(lambda: len(echo.handled) == 2)
        peer.send(http2.reset(1, CANCEL), http2.reset(3, CANCEL), *asks(peer, 5, "a"), *asks(peer, 7, "b"))
        assert [await status_of(peer, stream) for stream in (5, 7)] == [Status.OK] * 2


# The books of the window


async def test_the_window_is_full_again_after_calls_that_were_aborted_before_they_began() -> None:
    """HEADERS, DATA and RST in one read: grpclib lost the data's share of the window for good."""
    async with serving() as (server, _, _), connected(server.address) as peer:
        body = http2.message(bytes(2_000))
        for stream in range(1, 4_001, 2):
            peer.send(peer.headers(stream, SAY), http2.data(stream, body), http2.reset(stream, CANCEL))
            if stream % 200 == 1:
                await peer.answers()
        await peer.answers()
        await until(lambda: not only(server).processor.streams)
        assert http2.books(only(server).connection.h2) == WINDOW
        assert only(server)._tasks == {}
        assert await says(peer, 4_001) is Status.OK


async def test_the_window_is_full_again_after_calls_that_were_aborted_in_the_middle() -> None:
    """The same where the handler was at work, and where data comes after the reset."""
    async with serving() as (server, _, _), connected(server.address) as peer:
        for stream in range(1, 601, 2):
            peer.send(peer.headers(stream, SAY), http2.data(stream, b"\0\0\0\x40\0" + bytes(500)))
            await asyncio.sleep(0)
            peer.send(http2.reset(stream, CANCEL), http2.data(stream, bytes(300)))
            if stream % 50 == 1:
                await peer.answers()
        await peer.answers()
        await until(lambda: not only(server).processor.streams)
        assert http2.books(only(server).connection.h2) == WINDOW


# How many a second


FLOODS: dict[str, Frame] = {
    "pings": PingFrame(0, bytes(8)),
    "pongs": PingFrame(0, bytes(8), flags=["ACK"]),
    "settings": http2.settings(),
    "resets": http2.reset(1, CANCEL),
    "priorities": PriorityFrame(1, depends_on=0),
    "empty data": http2.data(1, b""),
    "unknown frames": http2.unknown(),
}


@pytest.mark.parametrize("what", FLOODS)
async def test_a_flood_of_frames_that_bring_no_call_on_is_cut_off(what: str) -> None:
    """Each costs us more than the one who sends it (CVE-2019-9512, 9514, 9515, 9518; CVE-2023-44487)."""
    async with (
        serving(max_noise=50.0, clock=TurnedClock()) as (server, echo, _),
        connected(server.address) as beside,
        connected(server.address) as peer,
    ):
        peer.send(peer.headers(1, SAY))
        peer.send(*[FLOODS[what]] * 98)
        await peer.answers()  # the SETTINGS at the beginning, and this ping: it is just calm enough
        peer.send(FLOODS[what])
        told = await peer.next(GoAwayFrame)
        assert (told.error_code, told.last_stream_id) == (ENHANCE_YOUR_CALM, 1)
        await peer.closed()
        assert await says(beside, 1) is Status.OK
        assert echo.handled == ["hello"]


async def test_calls_that_are_reset_as_soon_as_they_are_asked_are_a_flood() -> None:
    """They never count as open, so the limit of streams does not see them (CVE-2023-44487)."""
    async with serving(max_noise=50.0, clock=TurnedClock()) as (server, echo, _), connected(server.address) as peer:
        for stream in range(1, 301, 2):
            peer.send(peer.headers(stream, SAY), http2.reset(stream, CANCEL))
        assert (await peer.next(GoAwayFrame)).error_code == ENHANCE_YOUR_CALM
        await peer.closed()
        assert echo.handled == []


async def test_streams_above_the_limit_are_a_flood_too() -> None:
    """Each is refused, and each refusal costs."""
    stack = serving(max_streams=1, max_noise=50.0, clock=TurnedClock())
    async with stack as (server, echo, _), connected(server.address) as peer:
        peer.send(*asks(peer, 1, "wait"))
        await echo.arrived.wait()
        for stream in range(3, 301, 2):
            peer.send(*asks(peer, stream, "wait"))
        assert (await peer.next(GoAwayFrame)).error_code == ENHANCE_YOUR_CALM
        await until(lambda: echo.cancelled == 1)


async def test_the_same_frames_in_more_time_harm_nobody() -> None:
    """A client may ping and cancel for a year."""
    clock = TurnedClock()
    async with serving(max_noise=50.0, clock=clock) as (server, _, _), connected(server.address) as peer:
        for second in range(10):
            peer.send(*[PingFrame(0, bytes(8))] * 40, *[http2.settings()] * 8)
            assert await says(peer, 2 * second + 1) is Status.OK
            await clock.turn(1.0)


# How a connection ends


async def test_an_aged_connection_is_left_in_two_steps_and_no_call_fails() -> None:
    """What was on its way at the first step is taken; after the second nothing is."""
    clock = TurnedClock()
    async with (
        serving(max_age=60.0, clock=clock, rng=Middling()) as (server, echo, _),
        connected(server.address) as peer,
    ):
        peer.send(*asks(peer, 1, "wait"))
        await echo.arrived.wait()
        await clock.turn(60.0)
        assert (await peer.next(GoAwayFrame)).last_stream_id == http2.MAX_ID
        ping = await peer.next(PingFrame)
        peer.send(*asks(peer, 3, "on its way"), http2.pong(ping))
        assert await status_of(peer, 3) is Status.OK
        assert (await peer.next(GoAwayFrame)).last_stream_id == 3
        peer.send(*asks(peer, 5, "too late"))
        assert (await peer.next(RstStreamFrame, 5)).error_code == REFUSED_STREAM
        echo.go_on.set()
        assert await status_of(peer, 1) is Status.OK
        assert echo.handled == ["wait", "on its way"]
        await peer.answers()  # it is still open: the client may close first
        await clock.turn(1.0)
        await peer.closed()


async def test_a_client_that_does_not_answer_the_ping_is_left_all_the_same() -> None:
    """An old client may not know what is meant."""
    clock = TurnedClock()
    async with serving(max_age=60.0, clock=clock, rng=Middling()) as (server, _, _), connected(server.address) as peer:
        assert await says(peer, 1) is Status.OK
        await clock.turn(60.0)
        await peer.next(GoAwayFrame)
        await clock.turn(10.0)
        assert (await peer.next(GoAwayFrame)).last_stream_id == 1
        await clock.turn(1.0)
        await peer.closed()


async def test_an_aged_connection_is_not_told_of_more_streams_when_the_server_stops_too() -> None:
    """RFC 9113: the last stream that a GOAWAY names never rises."""
    clock = TurnedClock()
    stack = serving(max_age=60.0, grace=30.0, clock=clock, rng=Middling())
    async with stack as (server, echo, _), connected(server.address) as peer:
        peer.send(*asks(peer, 1, "wait"))
        await echo.arrived.wait()
        await clock.turn(60.0)
        peer.send(http2.pong(await peer.next(PingFrame)))
        await peer.answers()
        stopping = asyncio.create_task(server.drain())
        await peer.answers()
        echo.go_on.set()
        assert await status_of(peer, 1) is Status.OK
        await peer.close()
        await stopping
        assert [frame.last_stream_id for frame, _ in peer.seen if isinstance(frame, GoAwayFrame)] == [http2.MAX_ID, 1]


async def test_what_outlasts_the_grace_of_an_aged_connection_is_cut_off() -> None:
    """A watch would hold it for ever."""
    clock = TurnedClock()
    stack = serving(max_age=60.0, age_grace=5.0, clock=clock, rng=Middling())
    async with stack as (server, echo, _), connected(server.address) as peer:
        peer.send(*asks(peer, 1, "wait"))
        await echo.arrived.wait()
        await clock.turn(60.0)
        peer.send(http2.pong(await peer.next(PingFrame)))
        await peer.answers()
        await clock.turn(5.0)
        await peer.closed()
        await until(lambda: echo.cancelled == 1)


async def test_ages_differ_so_that_callers_do_not_come_back_together() -> None:
    """A thousand clients that connected at the same start would otherwise return in the same second."""
    async with serving(max_age=100.0) as (server, _, _):
        ages = {server._accepted()._max_age for _ in range(50)}
    assert len(ages) > 40
    assert 90 <= min(ages) < max(ages) <= 110


async def test_a_client_that_says_goaway_still_gets_its_answers() -> None:
    """It takes no pushes any more; that is all it says."""
    async with serving() as (server, echo, _), connected(server.address) as peer:
        peer.send(*asks(peer, 1, "wait"))
        await echo.arrived.wait()
        peer.send(http2.goaway(0))
        await peer.answers()
        echo.go_on.set()
        assert await status_of(peer, 1) is Status.OK
        assert await says(peer, 3) is Status.OK


async def test_a_stop_answers_what_is_in_flight_ends_watches_and_closes() -> None:
    """A watch lasts as long as its caller wants; it is told, and holds nobody up."""
    async with serving(grace=30) as (server, echo, health), connected(server.address) as peer:
        watching = http2.data(3, http2.message(b""), end=True)
        peer.send(*asks(peer, 1, "wait"), peer.headers(3, WATCH), watching)
        await echo.arrived.wait()
        stopping = asyncio.create_task(server.drain())
        assert (await peer.next(GoAwayFrame)).last_stream_id == http2.MAX_ID
        assert not health.serving
        peer.send(*asks(peer, 5, "on its way"), http2.pong(await peer.next(PingFrame)))
        assert await status_of(peer, 5) is Status.OK
        assert (await peer.next(GoAwayFrame)).last_stream_id == 5
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
        assert not stopping.done()
        echo.go_on.set()
        assert [await status_of(peer, stream) for stream in (1, 3)] == [Status.OK, Status.UNAVAILABLE]
        await peer.close()
        await stopping


async def test_a_stop_with_notice_serves_on_until_its_callers_have_gone() -> None:
    """They are told by their probes or their registry, and lose nothing on the way."""
    clock = TurnedClock()
    async with serving(notice=5.0, grace=30.0, clock=clock) as (server, _, health), connected(server.address) as one:
        assert await says(one, 1) is Status.OK
        stopping = asyncio.create_task(server.drain())
        await until(lambda: not health.serving)
        async with connected(server.address) as late:  # it has not heard of it yet
            assert [await says(late, 1), await says(one, 3)] == [Status.OK, Status.OK]
            assert GoAwayFrame not in [*one.kinds(), *late.kinds()]
        assert not stopping.done()
        await one.close()
        await stopping


async def test_who_stays_is_told_to_go_when_the_notice_is_over() -> None:
    """A caller without probes and without a registry hears of it by GOAWAY."""
    clock = TurnedClock()
    async with serving(notice=5.0, grace=30.0, clock=clock) as (server, echo, _), connected(server.address) as peer:
        stopping = asyncio.create_task(server.drain())
        await clock.turn(4.9)
        peer.send(*asks(peer, 1, "wait"))
        await echo.arrived.wait()
        await peer.answers()
        assert GoAwayFrame not in peer.kinds()
        await clock.turn(0.2)
        assert (await peer.next(GoAwayFrame)).last_stream_id == http2.MAX_ID
        peer.send(http2.pong(await peer.next(PingFrame)))
        assert (await peer.next(GoAwayFrame)).last_stream_id == 1
        assert not stopping.done()
        echo.go_on.set()
        assert await status_of(peer, 1) is Status.OK
        await peer.close()
        await stopping


async def test_our_client_leaves_a_server_that_stops_at_once(to: To) -> None:
    """It has all its answers, so nobody has to wait for anybody."""
    async with serving(grace=30, clock=TurnedClock()) as (server, _, _):
        await to(server.address)(call("x"))
    assert not server._callers or all(caller.closed.is_set() for caller in server._callers)


async def test_a_client_that_reads_nothing_does_not_hold_up_a_stop() -> None:
    """Its answers wait in a buffer that never empties."""
    async with serving(grace=0.1) as (server, echo, _), connected(server.address) as peer:
        window = WindowUpdateFrame(0, window_increment=2**30)
        peer.send(http2.settings(INITIAL_WINDOW_SIZE=2**31 - 1), window)
        peer.send(*(frame for stream in range(1, 41, 2) for frame in asks(peer, stream, "wide")))
        await until(lambda: not only(server).connection.write_ready.is_set())
        caller = only(server)
        async with asyncio.timeout(20):
            await server.drain()
            await caller.closed.wait()
        assert echo.handled
