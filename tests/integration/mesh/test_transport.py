"""One connection over a real socket: never sent, sent and lost, answered are told apart."""

import asyncio
import socket

import pytest
from grpclib.exceptions import StreamTerminatedError

from mesh.errors import Lost, RemoteError, Unreachable, Violation
from mesh.status import Status
from mesh.transport import split_address
from mesh.transport.calls import read_pushback
from mesh.transport.request import Waker
from tests.integration.mesh.conftest import To
from tests.integration.mesh.echo import call, serving


async def test_metadata_and_deadline_travel_and_trailers_come_back(to: To) -> None:
    """Principal, request id and trace go one way, cache tags the other."""
    async with serving() as (server, _, _):
        reply = await to(server.address)(call("headers", timeout=3.0, metadata={"who": "me"}))
        assert reply.message.lease_id == "headers"
        assert reply.headers["seen"] == "me"
        assert 2.0 < float(reply.headers["left"]) <= 3.0


async def test_a_closed_port_is_unreachable_and_nothing_was_sent(to: To) -> None:
    """This may be repeated whatever it was."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        await to(f"127.0.0.1:{port}")(call("x"))
    assert not caught.value.maybe_done


async def test_once_it_is_closed_it_makes_no_connection_any_more(to: To) -> None:
    """Nobody would close that one."""
    async with serving() as (server, _, _):
        transport = to(server.address)
        await transport(call("x"))
        transport.close()
        with pytest.raises(Unreachable, match="closed here"):
            await transport(call("x"))


async def test_an_error_arrives_with_its_code_info_and_fields(to: To) -> None:
    """The gateway's answer is made from these alone."""
    async with serving() as (server, _, _):
        with pytest.raises(RemoteError) as caught:
            await to(server.address)(call("no"))
    error = caught.value
    assert (error.status, error.message, error.code) == (Status.ABORTED, "not so", "NOT_SO")
    assert (dict(error.info), error.violations) == ({"a": "b"}, (Violation("f", "why"),))


@pytest.mark.parametrize(("word", "pushback"), [("later", 0.25), ("never", -1.0), ("no", None)])
async def test_a_service_says_when_a_call_may_be_made_again(to: To, word: str, pushback: float | None) -> None:
    """Only the far side knows when it will have room."""
    async with serving() as (server, _, _):
        with pytest.raises(RemoteError) as caught:
            await to(server.address)(call(word))
    assert caught.value.pushback == pushback


@pytest.mark.parametrize(
    ("told", "pushback"),
    [("0", 0.0), ("1500", 1.5), ("-1", -1.0), ("soon", -1.0), ("1.5", -1.0), ("", -1.0), ("١", -1.0)],
)
def test_a_pushback_that_cannot_be_read_means_never(told: str, pushback: float) -> None:
    """As gRFC A6 has it: who says anything else than a time does not want the call again."""
    assert read_pushback(told) == pushback


async def test_a_server_that_closes_in_the_middle_is_lost(to: To) -> None:
    """It may have been done: grpclib says nothing of UNAVAILABLE here."""
    async with serving(grace=0) as (server, echo, _):
        waiting = asyncio.ensure_future(to(server.address)(call("wait")))
        await echo.arrived.wait()
    with pytest.raises(Lost) as caught:
        await waiting
    assert caught.value.maybe_done


async def test_a_broken_link_leaves_no_cancellation_on_the_task(to: To) -> None:
    """With the mark left on, the next timeout around the task would cancel its caller."""

    async def caller(address: str) -> int:
        with pytest.raises(Lost):
            await to(address)(call("wait"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    async with serving(grace=0) as (server, echo, _):
        waiting = asyncio.ensure_future(caller(server.address))
        await echo.arrived.wait()
    assert await waiting == 0


async def test_a_caller_that_is_woken_twice_by_a_closing_connection_is_cancelled_by_nobody() -> None:
    """A reset and the end of the link in one turn of the loop; the second is not a cancellation from outside."""
    waker = Waker()

    async def caller() -> int:
        with pytest.raises(StreamTerminatedError), waker:
            await asyncio.Event().wait()
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    calling = asyncio.ensure_future(caller())
    await asyncio.sleep(0)
    waker.cancel(StreamTerminatedError("reset"))
    waker.cancel(StreamTerminatedError("connection lost"))
    assert await calling == 0


async def test_a_cancelled_call_is_cancelled_at_the_server_and_the_connection_goes_on(
    to: To,
) -> None:
    """Work whose caller has gone is not finished, and the next call gets its own answer."""
    async with serving() as (server, echo, _):
        transport = to(server.address)
        waiting = asyncio.ensure_future(transport(call("wait")))
        await echo.arrived.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await transport(call("next"))).message.lease_id == "next"
        async with asyncio.timeout(5):
            await echo.ended.wait()
        assert echo.cancelled == 1


async def test_it_connects_again_after_the_server_came_back(to: To) -> None:
    """A restarted replica is used by the same client."""
    async with serving() as (server, _, _):
        transport = to(server.address)
        await transport(call("before"))
    port = split_address(server.address)[1]
    with pytest.raises((Unreachable, Lost)):
        await transport(call("meanwhile"))
    async with serving(port=port) as (_, echo, _):
        await transport(call("after"))
        assert echo.handled == ["after"]


@pytest.mark.parametrize("bad", ["", "host", "host:", ":1", "host:0", "host:65536", "host:x", "host:٧", "h:1:"])
def test_an_address_that_is_none_is_refused(bad: str) -> None:
    """A typing error in the settings is named at start, not at the first call."""
    with pytest.raises(ValueError, match="is not host:port"):
        split_address(bad)


def test_addresses_of_both_families_are_read() -> None:
    """IPv6 has colons of its own."""
    assert split_address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert split_address("[::1]:80") == ("::1", 80)
