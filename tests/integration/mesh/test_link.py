"""Our client against a far side that the test plays frame by frame."""

import asyncio
from random import Random

import pytest
from grpclib.encoding.proto import ProtoCodec
from hyperframe.frame import (
    AltSvcFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
)

from mesh.clock import SystemClock
from mesh.decide.attempt_time import AttemptTimes
from mesh.endpoints.endpoint import Endpoint
from mesh.errors import DeadlineExceeded, Lost, MeshError, Refused, RemoteError, Unreachable
from mesh.events import Events
from mesh.layers.attempt import attempt
from mesh.policy import AttemptPolicy, Policy
from mesh.status import Status
from mesh.testing import TurnedClock
from mesh.transport import Transport
from mesh.transport.channel import KEEPALIVE
from mesh.transport.frames import MAX_FRAME
from mesh.transport.link import IDLE
from mesh.transport.request import Waker
from mesh.wire.mesh.registry import v1 as pb
from tests.fakes import http2
from tests.fakes.http2 import Listening, Peer
from tests.integration.mesh.conftest import To
from tests.integration.mesh.echo import WRITE, call

FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 6, 7, 8, 11


def begun(transport: Transport, word: str = "x") -> "asyncio.Task[str]":
    async def lease() -> str:
        return str((await transport(call(word))).message.lease_id)

    return asyncio.create_task(lease())


def body(word: str) -> bytes:
    return bytes(pb.Lease(lease_id=word))


async def asked(peer: Peer, count: int = 1) -> list[int]:
    """The streams of the next so many requests, each read to its end."""
    return [(await peer.next(DataFrame)).stream_id for _ in range(count)]


# How a connection begins


async def test_nothing_is_sent_before_the_far_sides_settings_are_there(to: To) -> None:
    """A server that takes few streams would refuse the others, or end the connection over them."""
    async with Listening() as far:
        calling = begun(to(far.address))
        peer = await far.peer(http2.unknown())
        await peer.answers()
        assert HeadersFrame not in peer.kinds()
        peer.send(http2.settings())
        (stream,) = await asked(peer)
        peer.send(*peer.answer(stream, body("well")))
        assert await calling == "well"


async def test_a_far_side_that_closes_before_its_settings_is_unreachable(to: To) -> None:
    """Nothing was sent, so the call may always be made again."""
    async with Listening() as far:
        calling = begun(to(far.address))
        await (await far.peer(http2.unknown())).close()
        with pytest.raises(Unreachable):
            await calling


async def test_a_far_side_that_says_nothing_is_unreachable_after_a_while_and_is_left() -> None:
    """A process that hangs still takes connections; none of them may be kept."""
    clock = TurnedClock()
    async with Listening() as far:
        transport = Transport(far.address, ProtoCodec(), clock)
        calling = begun(transport)
        peer = await far.peer(http2.unknown())
        await peer.answers()
        await clock.turn(5.0)
        with pytest.raises(Unreachable, match="TimeoutError"):
            await calling
        await peer.closed()


async def test_an_attempt_that_ran_out_of_time_before_the_settings_came_was_never_sent(to: To) -> None:
    """A standing process takes the connection: since nothing was sent, a write without a key may go elsewhere."""
    async with Listening() as far:
        times, clock = AttemptTimes(AttemptPolicy(least=0.01, most=0.05)), SystemClock()
        bounded = attempt("echo", far.address, times, clock, Events())(to(far.address))
        with pytest.raises(Unreachable, match="before there was a connection"):
            await bounded(call("x", repeatable=True))
        with pytest.raises(DeadlineExceeded, match="before there was a connection") as late:
            await bounded(call("x", method=WRITE, timeout=0.05))
        assert not late.value.maybe_done


async def test_a_caller_that_gives_up_while_it_connects_spoils_nothing_for_the_others(to: To) -> None:
    """The connection is for whoever comes next."""
    async with Listening() as far:
        transport = to(far.address)
        impatient, patient = begun(transport, "impatient"), begun(transport, "patient")
        peer = await far.peer(http2.unknown())
        await peer.answers()
        impatient.cancel()
        peer.send(http2.settings())
        (stream,) = await asked(peer)
        peer.send(*peer.answer(stream, body("well")))
        assert await patient == "well"
        assert far.pending == 0


# What is not understood


async def test_what_was_not_asked_for_is_ignored(to: To) -> None:
    """Frames of unknown types on either level, an informational answer, an empty frame of data."""
    async with Listening() as far:
        calling = begun(to(far.address))
        peer = await far.peer()
        (stream,) = await asked(peer)
        peer.send(
            http2.unknown(),
            AltSvcFrame(0, b"far", b'h2=":1"'),  # which h2 knows and grpclib does not
            http2.unknown(0xF1, stream),
            peer.headers(stream, {":status": "103"}),
            peer.headers(stream, http2.OK),
            http2.data(stream, b""),
            http2.data(stream, http2.message(body("well"))[:7]),
            http2.data(stream, b""),
            http2.data(stream, http2.message(body("well"))[7:]),
            peer.headers(stream, http2.WELL, end=True),
        )
        assert await calling == "well"


async def test_a_server_that_pushes_breaks_the_rules_that_it_was_told(to: To) -> None:
    """ENABLE_PUSH is 0: what is pushed would take memory and window for nobody."""
    async with Listening() as far:
        calling = begun(to(far.address))
        peer = await far.peer()
        (stream,) = await asked(peer)
        settings = next(frame for frame, _ in peer.seen if isinstance(frame, SettingsFrame))
        assert settings.settings[SettingsFrame.ENABLE_PUSH] == 0
        peer.send(PushPromiseFrame(stream, 2, peer.headers(stream, http2.request("/x")).data, flags=["END_HEADERS"]))
        with pytest.raises(Lost):
            await calling
        assert (await peer.next(GoAwayFrame)).error_code


@pytest.mark.parametrize("kind", [0x0, 0xF0])
async def test_an_overlong_frame_ends_the_connection_at_its_header(to: To, kind: int) -> None:
    """Sixteen megabytes would be buffered before h2 says a word."""
    async with Listening() as far:
        calling = begun(to(far.address))
        peer = await far.peer()
        (stream,) = await asked(peer)
        peer.send((MAX_FRAME + 1).to_bytes(3, "big") + bytes([kind, 0]) + stream.to_bytes(4, "big"))
        with pytest.raises(Lost, match="16385 bytes"):
            await calling
        assert (await peer.next(GoAwayFrame)).error_code == FRAME_SIZE_ERROR
        await peer.closed()


# Answers


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (b"\0" + (4 * 2**20 + 1).to_bytes(4, "big"), Status.RESOURCE_EXHAUSTED),
        (http2.message(b"x", flag=1), Status.INTERNAL),
        (b"\0\0\0\0\5ab", Status.INTERNAL),
        (b"\0\0", Status.INTERNAL),
        (b"", Status.INTERNAL),
    ],
    ids=["too large", "compressed", "cut in the message", "cut in the prefix", "empty"],
)
async def test_an_answer_that_cannot_be_taken_is_an_answer_and_the_connection_goes_on(
    to: To, payload: bytes, status: Status
) -> None:
    """It must not look like a lost call, nor tear down the calls beside it; a write was done all the same."""
    async with Listening() as far:
        transport = to(far.address)
        calling = begun(transport)
        peer = await far.peer()
        (stream,) = await asked(peer)
        peer.send(
            peer.headers(stream, http2.OK), http2.data(stream, payload), peer.headers(stream, http2.WELL, end=True)
        )
        with pytest.raises(RemoteError) as caught:
            await calling
        code = "REPLY_TOO_LARGE" if status is Status.RESOURCE_EXHAUSTED else "REPLY_UNREADABLE"
        assert (caught.value.status, caught.value.code, caught.value.maybe_done) == (status, code, True)
        calling = begun(transport)
        (stream,) = await asked(peer)
        peer.send(*peer.answer(stream, body("next")))
        assert await calling == "next"


async def test_metadata_that_is_no_base64_is_an_unreadable_answer(to: To) -> None:
    """An exception of a library would otherwise reach the caller's code."""
    async with Listening() as far:
        calling = begun(to(far.address))
        peer = await far.peer()
        (stream,) = await asked(peer)
        first, message = peer.headers(stream, http2.OK), http2.data(stream, http2.message(body("x")))
        peer.send(first, message, peer.headers(stream, {**http2.WELL, "x-bin": "a", "y": "\u00e9"}, end=True))
        with pytest.raises(RemoteError) as caught:
            await calling
        assert caught.value.status is Status.INTERNAL


async def test_a_cancelled_call_is_told_as_cancelled(to: To) -> None:
    """Other servers tell a cancelled call from a broken one by the code."""
    async with Listening() as far:
        calling = begun(to(far.address))
        peer = await far.peer()
        await asked(peer)
        calling.cancel()
        assert (await peer.next(RstStreamFrame)).error_code == CANCEL


# How a connection ends


async def test_after_an_abrupt_goaway_each_call_is_answered_or_certainly_was_not_begun(to: To) -> None:
    """The server meant to answer the first; the others may be made again, whatever they are."""
    async with Listening() as far:
        transport = to(far.address)
        calls = [begun(transport, str(number)) for number in range(3)]
        old = await far.peer()
        assert await asked(old, 3) == [1, 3, 5]
        old.send(http2.goaway(1), *old.answer(1, body("first")))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert results[0] == "first"
        assert [type(each) for each in results[1:]] == [Refused, Refused]
        assert not any(each.maybe_done for each in results[1:] if isinstance(each, MeshError))
        # New calls go on elsewhere, and the old connection is closed by us, who has all its answers.
        later = begun(transport)
        new = await far.peer()
        (stream,) = await asked(new)
        new.send(*new.answer(stream, body("later")))
        assert await later == "later"
        await old.closed()
        assert GoAwayFrame in old.kinds()


async def test_a_graceful_goaway_fails_no_call_and_new_ones_go_elsewhere_meanwhile(to: To) -> None:
    """This is how servers age connections and roll out new versions."""
    async with Listening() as far:
        transport = to(far.address)
        slow = begun(transport)
        old = await far.peer()
        (stream,) = await asked(old)
        old.send(http2.goaway(http2.MAX_ID))
        await old.answers()
        quick = begun(transport)
        new = await far.peer()
        new.send(*new.answer((await asked(new))[0], body("quick")))
        assert await quick == "quick"
        old.send(http2.goaway(stream), *old.answer(stream, body("slow")))
        assert await slow == "slow"
        await old.closed()


async def test_a_goaway_that_is_followed_by_the_end_loses_only_what_was_begun(to: To) -> None:
    """Of the first it is not known what became; the second may be made again."""
    async with Listening() as far:
        transport = to(far.address)
        calls = [begun(transport, "a"), begun(transport, "b")]
        peer = await far.peer()
        await asked(peer, 2)
        peer.send(http2.goaway(1))
        await peer.close()
        assert [type(each) for each in await asyncio.gather(*calls, return_exceptions=True)] == [Lost, Refused]


async def test_a_refused_stream_was_not_begun_and_any_other_reset_is_a_loss(to: To) -> None:
    """REFUSED_STREAM is a promise; every other code leaves the outcome open."""
    async with Listening() as far:
        transport = to(far.address)
        calls = [begun(transport, "a"), begun(transport, "b")]
        peer = await far.peer()
        one, two = await asked(peer, 2)
        peer.send(http2.reset(one, REFUSED_STREAM), http2.reset(two, CANCEL))
        assert [type(each) for each in await asyncio.gather(*calls, return_exceptions=True)] == [Refused, Lost]


async def test_a_call_that_was_told_off_leaves_no_cancellation_on_its_task(to: To) -> None:
    """The next timeout around the task would take itself for a cancellation from outside."""
    async with Listening() as far:
        transport = to(far.address)

        async def caller() -> int:
            with pytest.raises(Refused):
                await transport(call("x"))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await asyncio.Event().wait()
            task = asyncio.current_task()
            assert task is not None
            return task.cancelling()

        calling = asyncio.create_task(caller())
        peer = await far.peer()
        (stream,) = await asked(peer)
        peer.send(http2.reset(stream, REFUSED_STREAM))
        assert await calling == 0


async def test_a_caller_that_is_cancelled_while_it_is_woken_is_cancelled() -> None:
    """The wake-up is taken back; the cancellation from outside is not."""
    waker = Waker()

    async def caller() -> None:
        with waker:
            await asyncio.Event().wait()

    calling = asyncio.create_task(caller())
    await asyncio.sleep(0)
    waker.cancel(Refused("told off"))
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert calling.cancelling() == 1


async def test_a_probe_that_is_refused_says_nothing_of_the_endpoints_health(to: To) -> None:
    """Its connection went away just then: taking it out for that would fail the calls of a second."""
    async with Listening() as far:
        policy, times, clock = Policy(), AttemptTimes(AttemptPolicy()), SystemClock()
        endpoint = Endpoint("echo", far.address, policy, times, to(far.address), clock, Random(1), Events())
        probing = asyncio.create_task(endpoint.probe())
        peer = await far.peer()
        peer.send(http2.reset((await asked(peer))[0], REFUSED_STREAM))
        await probing
        assert endpoint.well


# Where streams run out


async def test_where_streams_run_out_more_connections_are_made_and_then_calls_wait_in_line(to: To) -> None:
    """Two calls at a time on a connection, four connections: the ninth call waits, and is not lost."""
    async with Listening() as far:
        transport = to(far.address)
        calls = [begun(transport, str(number)) for number in range(10)]
        peers = [await far.peer(http2.settings(MAX_CONCURRENT_STREAMS=2)) for _ in range(4)]
        streams = [await asked(peer, 2) for peer in peers]
        assert streams == [[1, 3]] * 4
        await peers[0].answers()
        assert not any(task.done() for task in calls)
        assert far.pending == 0
        peers[1].send(*peers[1].answer(3, body("done")))
        assert await asked(peers[1]) == [5]  # the ninth, on the stream that became free
        for peer, open_streams in zip(peers, [[1, 3], [1, 5], [1, 3], [1, 3]], strict=True):
            peer.send(*(frame for stream in open_streams for frame in peer.answer(stream, body("done"))))
        (last,) = await asked(peers[0])
        peers[0].send(*peers[0].answer(last, body("done")))
        assert await asyncio.gather(*calls) == ["done"] * 10


async def test_a_caller_that_waits_in_line_and_goes_leaves_its_place_to_the_next(to: To) -> None:
    """A slot that nobody takes would be lost for good."""
    async with Listening() as far:
        transport = Transport(far.address, ProtoCodec(), SystemClock(), max_links=1)
        first, second, third = begun(transport, "1"), begun(transport, "2"), begun(transport, "3")
        peer = await far.peer(http2.settings(MAX_CONCURRENT_STREAMS=1))
        (stream,) = await asked(peer)
        second.cancel()
        peer.send(*peer.answer(stream, body("first")))
        (stream,) = await asked(peer)
        peer.send(*peer.answer(stream, body("third")))
        assert (await first, await third) == ("first", "third")
        assert second.cancelled()
        transport.close()


async def test_a_turn_that_came_to_a_caller_who_was_just_cancelled_goes_to_the_next(to: To) -> None:
    """Both in one turn of the loop; the stream that became free would stay free while others wait."""
    async with Listening() as far:
        transport = Transport(far.address, ProtoCodec(), SystemClock(), max_links=1)
        calls = [begun(transport, str(number)) for number in range(3)]
        peer = await far.peer(http2.settings(MAX_CONCURRENT_STREAMS=1))
        (stream,) = await asked(peer)
        channel = transport._channel
        freed = channel.freed

        def freed_and_cancelled() -> None:
            freed()
            calls[1].cancel()

        channel.freed = freed_and_cancelled  # type: ignore[method-assign]
        peer.send(*peer.answer(stream, body("first")))
        (stream,) = await asked(peer)
        channel.freed = freed  # type: ignore[method-assign]
        peer.send(*peer.answer(stream, body("third")))
        assert (await calls[0], await calls[2]) == ("first", "third")
        assert calls[1].cancelled()
        transport.close()


async def test_calls_in_line_go_on_elsewhere_when_their_connection_goes_away(to: To) -> None:
    """They have not been sent, so nobody needs to hear of it."""
    async with Listening() as far:
        transport = Transport(far.address, ProtoCodec(), SystemClock(), max_links=1)
        first, second = begun(transport, "1"), begun(transport, "2")
        old = await far.peer(http2.settings(MAX_CONCURRENT_STREAMS=1))
        (stream,) = await asked(old)
        old.send(http2.goaway(stream))
        new = await far.peer()
        new.send(*new.answer((await asked(new))[0], body("second")))
        old.send(*old.answer(stream, body("first")))
        assert (await first, await second) == ("first", "second")
        transport.close()


async def test_the_last_stream_id_is_followed_by_a_new_connection(to: To) -> None:
    """A connection has a thousand million of them, and no more."""
    async with Listening() as far:
        transport = to(far.address)
        calls = [begun(transport, "a")]
        old = await far.peer()
        await asked(old)
        (link,) = transport._channel._links
        link.connection.h2.highest_outbound_stream_id = http2.MAX_ID - 2
        calls.append(begun(transport, "b"))
        (last,) = await asked(old)
        assert last == http2.MAX_ID
        calls.append(begun(transport, "c"))
        new = await far.peer()
        new.send(*new.answer((await asked(new))[0], body("c")))
        old.send(*old.answer(1, body("a")), *old.answer(last, body("b")))
        assert await asyncio.gather(*calls) == ["a", "b", "c"]


# Keep-alive


async def test_a_far_side_that_no_longer_answers_pings_has_lost_its_calls() -> None:
    """A host that vanished says nothing; without this a call without a deadline would wait for ever."""
    clock = TurnedClock()
    async with Listening() as far:
        transport = Transport(far.address, ProtoCodec(), clock)
        calling = begun(transport)
        peer = await far.peer()
        await asked(peer)
        await clock.turn(KEEPALIVE)  # it was heard of in this time
        for _ in range(2):
            await clock.turn(KEEPALIVE)
            await peer.next(PingFrame)
        assert not calling.done()
        await clock.turn(KEEPALIVE)
        with pytest.raises(Lost, match="2 pings were not answered"):
            await calling
        await peer.closed()


async def test_a_far_side_that_answers_pings_is_waited_for() -> None:
    """A slow answer is no dead link."""
    clock = TurnedClock()
    async with Listening() as far:
        transport = Transport(far.address, ProtoCodec(), clock)
        calling = begun(transport)
        peer = await far.peer()
        (stream,) = await asked(peer)
        for _ in range(8):
            await clock.turn(KEEPALIVE)
            await clock.turn(KEEPALIVE)
            peer.send(http2.pong(await peer.next(PingFrame)))
            await peer.answers()
        peer.send(*peer.answer(stream, body("at last")))
        assert await calling == "at last"
        transport.close()


async def test_a_connection_without_calls_is_given_up_and_told_so() -> None:
    """Those that a burst needed go; so does one that nobody would notice dying."""
    clock = TurnedClock()
    async with Listening() as far:
        transport = Transport(far.address, ProtoCodec(), clock)
        calling = begun(transport)
        peer = await far.peer()
        peer.send(*peer.answer((await asked(peer))[0], body("x")))
        await calling
        reading = asyncio.create_task(peer.closed())
        for _ in range(round(IDLE / KEEPALIVE) + 1):
            peer.send(http2.unknown())
            await asyncio.sleep(0.01)
            await clock.turn(KEEPALIVE)
        await reading
        assert peer.kinds()[-1] is GoAwayFrame


async def test_a_server_that_is_asked_too_often_is_asked_half_as_often() -> None:
    """Google's servers end a connection over the fourth ping in five minutes; the next one must fare better."""
    clock = TurnedClock()
    async with Listening() as far:
        transport = Transport(far.address, ProtoCodec(), clock)
        calling = begun(transport)
        peer = await far.peer()
        await asked(peer)
        peer.send(http2.goaway(1, ENHANCE_YOUR_CALM, b"too_many_pings"))
        await peer.close()
        with pytest.raises(Lost):
            await calling
        calling = begun(transport)
        peer = await far.peer()
        await asked(peer)
        await clock.turn(2 * KEEPALIVE)
        await peer.answers()
        assert PingFrame not in [type(frame) for frame, _ in peer.seen if "ACK" not in frame.flags]
        await clock.turn(4 * KEEPALIVE)
        await peer.next(PingFrame)
        transport.close()
        with pytest.raises(Lost):
            await calling


async def test_a_transport_that_leaves_answers_its_calls_first(to: To) -> None:
    """An endpoint that has gone from the list may still be at work for us."""
    async with Listening() as far:
        transport = to(far.address)
        calling = begun(transport)
        peer = await far.peer()
        (stream,) = await asked(peer)
        transport.close_when_idle()
        await peer.answers()
        peer.send(*peer.answer(stream, body("well")))
        assert await calling == "well"
        await peer.closed()
