"""The TCP proxy over real sockets, on a clock turned by hand: what it holds back is held back, and order stays."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import cast

import pytest

from mesh.faults import Proxy, Trouble
from mesh.testing import TurnedClock
from tests.fakes.waiting import until

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo(asyncio.Protocol):
    """Sends back what it gets, and ends when its caller does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """A server's address."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"


@asynccontextmanager
async def proxied(
    trouble: Trouble, clock: TurnedClock | None = None, seed: int = 1
) -> AsyncIterator[tuple[Proxy, Ends]]:
    """A proxy before an echo, and a connection through it."""
    async with echo() as target, Proxy(target, trouble=trouble, clock=clock, rng=Random(seed)) as proxy:
        host, _, port = proxy.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield proxy, (reader, writer)
        finally:
            writer.close()


async def turned_until(clock: TurnedClock, reading: "asyncio.Task[bytes]", seconds: float) -> None:
    """Real sockets need real moments between the turns."""
    for _ in range(20):
        await asyncio.sleep(0.005)
        if reading.done():
            return
    await clock.turn(seconds)


async def exactly(reader: asyncio.StreamReader, count: int) -> bytes:
    async with asyncio.timeout(20):
        return await reader.readexactly(count)


async def test_without_trouble_all_arrives_as_it_was_sent() -> None:
    """The proxy itself must not be what fails."""
    sent = Random(1).randbytes(1_000_000)
    async with proxied(Trouble()) as (proxy, (reader, writer)):
        writer.write(sent)
        writer.write_eof()
        assert await exactly(reader, len(sent)) == sent
        assert await reader.read() == b""
        await until(lambda: proxy.connections == 0)


async def test_a_piece_is_under_way_for_its_latency_in_each_direction() -> None:
    """There and back: twice the latency, and not a moment before."""
    clock = TurnedClock()
    async with proxied(Trouble(latency=1.0), clock) as (_, (reader, writer)):
        writer.write(b"hello")
        reading = asyncio.ensure_future(exactly(reader, 5))
        await turned_until(clock, reading, 0.99)
        await turned_until(clock, reading, 0.02)
        await turned_until(clock, reading, 0.98)
        assert not reading.done()
        await turned_until(clock, reading, 0.1)
        assert await reading == b"hello"


async def test_jitter_and_slices_change_when_bytes_arrive_and_never_their_order() -> None:
    """TCP keeps the order; a proxy that did not would show faults that no network has."""
    sent = Random(2).randbytes(5_000)
    async with proxied(Trouble(jitter=0.02, slice=7)) as (_, (reader, writer)):
        for at in range(0, len(sent), 500):
            writer.write(sent[at : at + 500])
            await asyncio.sleep(0.002)
        assert await exactly(reader, len(sent)) == sent


async def test_nothing_passes_a_black_hole_until_it_ends() -> None:
    """The connection stands and says nothing, as behind a firewall that drops; what was sent arrives afterwards."""
    async with proxied(Trouble()) as (proxy, (reader, writer)):
        writer.write(b"before")
        await exactly(reader, 6)
        proxy.set(Trouble(black_hole=True))
        writer.write(b"after")
        reading = asyncio.ensure_future(exactly(reader, 5))
        await asyncio.sleep(0.2)
        assert not reading.done()
        proxy.set(Trouble())
        assert await reading == b"after"


async def test_a_reset_is_one_on_both_sides() -> None:
    """ECONNRESET, and no orderly end, which some clients take for an answer."""
    async with proxied(Trouble()) as (proxy, (reader, writer)):
        writer.write(b"hello")
        await exactly(reader, 5)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await exactly(reader, 1)
        await until(lambda: proxy.connections == 0)


async def test_bytes_that_are_under_way_when_their_connection_is_reset_leave_no_failed_task() -> None:
    """What is closed already cannot be reset; asyncio would log it amidst the output of a user's test."""
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    async with proxied(Trouble(latency=0.05)) as (proxy, (reader, writer)):
        writer.write(b"hello")
        await exactly(reader, 5)
        writer.write(b"under way")
        await asyncio.sleep(0.01)
        proxy.reset()
        await until(lambda: proxy.connections == 0)
    gc.collect()
    assert failed == []


async def test_a_seed_repeats_which_piece_ends_in_a_reset() -> None:
    """A share of pieces is reset; which one, the seed says."""

    async def survived(seed: int) -> int:
        count = 0
        async with proxied(Trouble(reset=0.2), seed=seed) as (_, (reader, writer)):
            try:
                while count < 200:
                    writer.write(b"x")
                    await exactly(reader, 1)
                    count += 1
            except (OSError, asyncio.IncompleteReadError):
                return count
        raise AssertionError("200 pieces survived a chance of a fifth")

    assert await survived(1) == await survived(1)
    assert len({await survived(seed) for seed in range(6)}) > 1


async def test_a_narrow_way_takes_the_time_of_its_bytes() -> None:
    """1,000 bytes a second: what is sent as 10 slices of 100 arrives within a second, and not at once."""
    clock = TurnedClock()
    async with proxied(Trouble(bandwidth=1_000, slice=100), clock) as (_, (reader, writer)):
        writer.write(bytes(1_000))
        reading = asyncio.ensure_future(exactly(reader, 1_000))
        for _ in range(8):
            await turned_until(clock, reading, 0.1)
        assert not reading.done()
        for _ in range(15):
            await turned_until(clock, reading, 0.1)
        assert len(await reading) == 1_000


async def test_an_end_is_late_where_closing_is_slow() -> None:
    """Its connection stays half open, which is what runs servers out of descriptors."""
    clock = TurnedClock()
    async with proxied(Trouble(slow_close=5.0), clock) as (proxy, (reader, writer)):
        writer.write(b"bye")
        writer.write_eof()
        assert await exactly(reader, 3) == b"bye"
        reading = asyncio.ensure_future(reader.read())
        await turned_until(clock, reading, 4.9)
        assert not reading.done()
        assert proxy.connections == 1
        for _ in range(3):
            await turned_until(clock, reading, 5.0)
        assert await reading == b""


async def test_a_target_that_is_away_resets_who_calls_it() -> None:
    """As the port itself would, more or less: the caller must not hang."""
    async with echo() as target:
        pass
    async with Proxy(target, rng=Random(1)) as proxy:
        host, _, port = proxy.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        with pytest.raises(OSError):  # noqa: PT011  # reset or broken, as the kernel says
            await exactly(reader, 1)
        writer.close()


async def test_a_proxy_that_stops_leaves_no_connection_and_no_task() -> None:
    """Even one whose bytes are held back for an hour."""
    async with proxied(Trouble(latency=3_600.0)) as (proxy, (_, writer)):
        writer.write(b"never")
        await until(lambda: proxy.connections == 1)
    assert proxy.connections == 0
    assert [task for task in asyncio.all_tasks() if "mesh/faults" in repr(task)] == []
