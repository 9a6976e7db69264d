"""What the server under the app answers by itself: raw bytes over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.examples import NEW_RECORD
from gateway.http import protocol, server
from process.run import Stop
from tests.fakes.gateway import Gateway
from tests.fakes.waiting import until


@dataclass
class Served:
    """A gateway on a real socket."""

    gateway: Gateway
    port: int
    stop: Stop
    task: asyncio.Task[None]

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, raw: bytes) -> list[tuple[int, dict[str, str], bytes]]:
        """Sends bytes, and reads answers until the server closes."""
        reader, writer = await self.open()
        writer.write(raw)
        try:
            async with asyncio.timeout(15):
                return answers(await reader.read())
        finally:
            writer.close()


@asynccontextmanager
async def serving(connections: int = 50, notice: float = 0.0, grace: float = 30.0) -> AsyncIterator[Served]:
    """Serves it until the block ends. The grace is long, since a busy machine may take its time."""
    gateway, stop = Gateway(), Stop()
    listener = server.listen("127.0.0.1", 0)
    ending = server.Ending(notice, grace)
    task = asyncio.create_task(server.serve(gateway.app, listener, connections=connections, stop=stop, ending=ending))
    try:
        yield Served(gateway, listener.getsockname()[1], stop, task)
    finally:
        stop.set()
        if not task.cancelled():
            await task


def answers(raw: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """HTTP/1.1 answers with Content-Length, one after another."""
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0"))
        found.append((int(first.split()[1]), headers, rest[:length]))
        raw = rest[length:]
    return found


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again, in bounded time."""
    async with asyncio.timeout(15):
        while not await holds():  # noqa: ASYNC110  # what is waited for lies beyond a socket
            await asyncio.sleep(0.01)


def assert_problem(answer: tuple[int, dict[str, str], bytes], status: int) -> Any:
    """It is a problem as every other, and the connection ends."""
    got, headers, body = answer
    told = json.loads(body)
    assert (got, told["status"], headers["content-type"]) == (status, status, "application/problem+json")
    assert headers["request-id"] == told["request_id"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["connection"] == "close"
    return told


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines that a test can wait for."""
    monkeypatch.setattr(protocol, "HEADER_DEADLINE", 0.1)
    monkeypatch.setattr(protocol, "LEFTOVER_DEADLINE", 0.1)


BROKEN = [
    b"GARBAGE\r\n\r\n",
    b"FOO / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /a\xffb HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -3\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@pytest.mark.parametrize("raw", BROKEN)
async def test_what_is_not_http_is_a_400_problem(raw: bytes) -> None:
    """Uvicorn would answer text/plain. Among them: two lengths, from which requests are smuggled."""
    async with serving() as served:
        (answer,) = await served.send(raw)
        assert assert_problem(answer, 400)["errors"]
        assert served.gateway.asked == []


async def test_what_is_not_http_has_its_line_in_the_log_and_no_word_of_the_clients_in_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A client that quotes the request id of its 400 must be found."""
    with caplog.at_level("INFO"):
        async with serving() as running:
            ((_, headers, _),) = await running.send(b"JANA / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    (line,) = [record for record in caplog.records if headers["request-id"] in str(vars(record))]
    assert "400" in str(vars(line))
    assert "JANA" not in caplog.text


async def test_a_request_without_host_is_a_400_problem() -> None:
    """RFC 9112, 3.2; in HTTP/1.0 too, where nobody misses it."""
    async with serving() as served:
        for version in (b"1.0", b"1.1"):
            ((status, _, body),) = await served.send(b"GET /livez HTTP/%s\r\nConnection: close\r\n\r\n" % version)
            assert (status, json.loads(body)["errors"][0]["field"]) == (400, "Host")


async def test_headers_without_end_are_431_and_a_target_without_end_414() -> None:
    """Neither is kept in memory to its end."""
    async with serving() as served:
        endless = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"b" * 70_000
        assert_problem((await served.send(endless))[0], 431)
        assert_problem((await served.send(b"GET /" + b"a" * 70_000))[0], 414)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("half", [b"GET /livez HTT", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: y"])
async def test_headers_that_do_not_come_in_time_are_408(half: bytes) -> None:
    """A slow client holds a connection for so long and no longer."""
    async with serving() as served:
        assert_problem((await served.send(half))[0], 408)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("bytes_sent", [b"", b"\r\n"])
async def test_a_connection_that_asks_for_nothing_is_closed(bytes_sent: bytes) -> None:
    """With nobody to answer, nothing is said."""
    async with serving() as served:
        assert await served.send(bytes_sent) == []


@pytest.mark.usefixtures("hasty")
async def test_half_a_request_behind_a_whole_one_is_408_too() -> None:
    """Both came in one piece, so nothing new arrives that could start a clock."""
    async with serving() as served:
        whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert [status for status, _, _ in await served.send(whole + b"GET /live")] == [200, 408]


@pytest.mark.usefixtures("hasty")
async def test_an_empty_line_after_an_answer_does_not_keep_the_connection_open() -> None:
    """Any byte ends uvicorn's own waiting for the next request."""
    async with serving() as served:
        reader, writer = await served.open()
        assert (await ask_again((reader, writer)))[0] == 200
        writer.write(b"\r\n")
        async with asyncio.timeout(15):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.usefixtures("hasty")
async def test_a_body_that_goes_on_after_its_413_is_not_listened_to_for_ever() -> None:
    """The answer is there at once; then the client has a moment to notice."""
    async with serving() as served:
        head = b"POST /records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n"
        ((status, _, _),) = await served.send(head + b"a" * 100)
        assert status == 413


async def test_a_large_body_is_413_and_the_connection_goes_on_once_it_was_sent() -> None:
    """Closing at once would lose the answer to a reset."""
    async with serving() as served:
        large = b"POST /records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1100000\r\n\r\n" + b"a" * 1_100_000
        last = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert [status for status, _, _ in await served.send(large + last)] == [413, 200]


async def test_connections_above_the_cap_are_503_and_room_comes_back() -> None:
    """Those within the cap are served as ever."""
    async with serving(connections=2) as served:
        kept = [await served.open() for _ in range(2)]
        assert [(await ask_again(one))[0] for one in kept] == [200, 200]
        ask = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        (refused,) = await served.send(ask)
        assert assert_problem(refused, 503)["type"] == "urn:caremesh:problem:overloaded"
        assert refused[1]["retry-after"] == "1"
        for _, writer in kept:
            writer.close()
            await writer.wait_closed()

        async def served_again() -> bool:
            return (await served.send(ask))[0][0] == 200

        await eventually(served_again)


async def test_twice_as_many_are_not_even_answered() -> None:
    """Each answered one costs memory until it has read its answer."""
    async with serving(connections=1) as served:
        kept = [await served.open() for _ in range(2)]
        with suppress(ConnectionResetError):
            assert await served.send(b"") == []
        (status, _, _) = await ask_again(kept[0])
        assert status == 200
        for _, writer in kept:
            writer.close()
            await writer.wait_closed()


async def ask_again(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> tuple[int, dict[str, str], bytes]:
    """A request on a connection that is open already."""
    connection[1].write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    (answer,) = answers(await connection[0].readuntil(b"}"))
    return answer


async def test_chunked_bodies_are_read_and_their_trailers_ignored() -> None:
    """A trailer could else add a header after the check."""
    body = json.dumps(NEW_RECORD).encode()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:20], body[20:]))
    head = b"POST /records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    async with serving() as served:
        raw = head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\nRequest-Timeout: x\r\n\r\n"
        ((status, headers, _),) = await served.send(raw)
        assert (status, headers["location"]) == (201, "/patients/7/records/12")


async def test_pipelined_requests_are_answered_in_order() -> None:
    """RFC 9112, 9.3.2."""
    ask = b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    async with serving() as served:
        raw = ask % (b"/livez", b"") + ask % (b"/nowhere", b"") + ask % (b"/records/7", b"Connection: close\r\n")
        assert [status for status, _, _ in await served.send(raw)] == [200, 404, 200]


async def test_an_upgrade_that_nobody_offers_is_answered_as_http() -> None:
    """So asks curl --http2, and browsers for WebSockets."""
    asked = b"Connection: Upgrade\r\nUpgrade: %s\r\n"
    async with serving() as served:
        for protocol_name in (b"h2c", b"websocket"):
            reader, writer = await served.open()
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + asked % protocol_name + b"\r\n")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
            writer.close()


async def test_a_head_has_the_headers_of_its_get_and_no_body() -> None:
    """RFC 9110, 9.3.2."""
    async with serving() as served:
        raw = b"HEAD /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ((status, headers, body),) = await served.send(raw)
        assert (status, headers["content-length"], body) == (200, "17", b"")


async def test_within_the_notice_all_is_answered_and_each_connection_closed_after_its_answer() -> None:
    """A balancer needs a moment to see that /readyz says 503; until then it sends what it likes."""
    async with serving(notice=60.0) as served:
        old = await served.open()
        assert (await ask_again(old))[0] == 200
        served.stop.set()
        for connection in (old, await served.open()):
            status, headers, _ = await ask_again(connection)
            assert (status, headers["connection"]) == (200, "close")
            assert await connection[0].read() == b""
            connection[1].close()
        served.task.cancel()
        await asyncio.wait({served.task})


async def test_in_a_hurry_nobody_is_given_notice() -> None:
    """Ctrl-C ends everything, so there is nobody to go to."""
    async with serving(notice=60.0) as served:
        served.stop.hurry()
        async with asyncio.timeout(15):
            await served.task


async def test_a_request_in_flight_is_finished_when_the_gateway_ends_and_none_is_taken() -> None:
    """An orderly end loses nothing."""
    async with serving() as served:
        gate, waiting = asyncio.Event(), []
        service = served.gateway.records
        call = service.call

        async def slow(*args: Any, **kwargs: Any) -> Any:
            waiting.append(args)
            await gate.wait()
            return await call(*args, **kwargs)

        service.call = slow  # type: ignore[method-assign]
        asking = asyncio.create_task(served.send(b"GET /records/7 HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        await until(lambda: waiting)
        served.stop.set()

        async def refused() -> bool:
            try:
                _, writer = await served.open()
            except (ConnectionRefusedError, ConnectionResetError):  # reset: in the queue when the listener closed
                return True
            writer.close()
            await writer.wait_closed()
            return False

        await eventually(refused)
        await asyncio.wait({served.task}, timeout=0.3)
        assert not served.task.done()
        gate.set()
        ((status, headers, _),) = await asking
        assert (status, headers["connection"]) == (200, "close")


async def test_a_port_that_is_taken_is_named_with_its_remedy() -> None:
    """At start, on one line, without a traceback."""
    listener = server.listen("127.0.0.1", 0)
    listener.listen()
    with listener, pytest.raises(OSError, match=r"in use\); choose a free port"):
        server.listen("127.0.0.1", listener.getsockname()[1])
