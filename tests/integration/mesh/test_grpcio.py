"""Google's implementation on the other side of the wire, in a process of its own: grpc's interop cases, and ageing.

A mistake that both of our sides make alike shows here.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Cardinality, Handler
from grpclib.const import Status as GrpcStatus
from grpclib.encoding.proto import ProtoCodec
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from mesh.call import Call, Level, Method
from mesh.client import ServiceClient
from mesh.clock import SystemClock
from mesh.endpoints import Static
from mesh.errors import MeshError, RemoteError
from mesh.events import Events
from mesh.policy import Policy
from mesh.server import Health, Server
from mesh.status import Status
from mesh.transport import Transport

PEER = Path(__file__).parent / "grpcio_peer.py"
SERVICE = "/grpc.testing.TestService/"
MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
CALLS = 2_000
SIZES = [31_415, 9, 2_653, 58_979]


class Raw(ProtoCodec):
    """Bytes as they are, and health's messages as ever."""

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> Any:
        return bytes(data) if message_type is bytes else super().decode(data, message_type)


class Testing:
    """The far side's methods as our server has them."""

    async def unary(self, stream: Stream[bytes, bytes]) -> None:
        request, given = await stream.recv_message(), dict(stream.metadata or {})
        if "x-initial" in given:
            await stream.send_initial_metadata(metadata={"x-initial": str(given["x-initial"])})
        await asyncio.sleep(float(str(given.get("x-sleep", 0))))
        if "x-status" in given:
            raise GRPCError(GrpcStatus(int(str(given["x-status"]))), MESSAGE)
        await stream.send_message(answer(request or b""))
        if "x-trailing" in given:
            trailing: dict[str, str | bytes] = {
                "x-trailing": str(given["x-trailing"]),
                "x-trailing-bin": b"\xab\xab\xab",
            }
            await stream.send_trailing_metadata(metadata=trailing)

    async def output(self, stream: Stream[bytes, bytes]) -> None:
        request = await stream.recv_message() or b""
        for at in range(4, len(request), 4):
            await asyncio.sleep(0.05)
            await stream.send_message(answer(request[at:]))

    async def input(self, stream: Stream[bytes, bytes]) -> None:
        total = sum([len(message) async for message in stream])
        await stream.send_message(total.to_bytes(4, "big"))

    async def duplex(self, stream: Stream[bytes, bytes]) -> None:
        async for message in stream:
            await stream.send_message(answer(message))

    def __mapping__(self) -> dict[str, Handler]:
        methods = {
            "EmptyCall": (self.unary, Cardinality.UNARY_UNARY),
            "UnaryCall": (self.unary, Cardinality.UNARY_UNARY),
            "StreamingOutputCall": (self.output, Cardinality.UNARY_STREAM),
            "StreamingInputCall": (self.input, Cardinality.STREAM_UNARY),
            "FullDuplexCall": (self.duplex, Cardinality.STREAM_STREAM),
        }
        return {SERVICE + name: Handler(func, kind, bytes, bytes) for name, (func, kind) in methods.items()}


def answer(request: bytes) -> bytes:
    return bytes(int.from_bytes(request[:4], "big"))


def method(name: str, service: str = SERVICE) -> Method:
    return Method(service + name, bytes, bytes, Level.NO_SIDE_EFFECTS)


def asking(size: int, message: bytes = b"", *, name: str = "UnaryCall", timeout: float = 20, **metadata: str) -> Call:
    given = {key.replace("_", "-"): value for key, value in metadata.items()}
    deadline = SystemClock().now() + timeout
    body = size.to_bytes(4, "big") + message
    return Call(method=method(name), message=body, timeout=timeout, deadline=deadline, metadata=given)


@asynccontextmanager
async def peer(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PEER), *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(20):
            assert await process.wait() == 0


@asynccontextmanager
async def theirs(**options: int) -> AsyncIterator[str]:
    """The address of a server of theirs."""
    named = {f"grpc.{name}": value for name, value in options.items()}
    async with peer("serve", json.dumps(named)) as process:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()


async def told(*arguments: str) -> Any:
    """What a client of theirs printed."""
    async with peer(*arguments) as process:
        assert process.stdout is not None
        return json.loads(await process.stdout.read())


def ours(**options: Any) -> Server:
    return Server([Testing()], health=Health(), events=Events(), codec=Raw(), **options)


# Their client, our server


async def test_their_client_finds_every_interop_case_as_it_should_be() -> None:
    """Each case is one of grpc's own, or one of the limits that we add."""
    async with ours() as server:
        answers = await told("call", server.address)
    assert answers.pop("timeout_on_sleeping_server").startswith("DEADLINE_EXCEEDED")  # in whose words, is a race
    assert answers == {
        "empty_unary": 0,
        "large_unary": 314_159,
        "client_streaming": 27_182 + 8 + 1_828 + 45_904,
        "server_streaming": SIZES,
        "ping_pong": SIZES,
        "empty_stream": [],
        "custom_metadata": ["a", "b", "ababab"],
        "status_code_and_message": f"UNKNOWN: {MESSAGE}",
        "unimplemented_method": "UNIMPLEMENTED: there is no such method here",
        "unimplemented_service": "UNIMPLEMENTED: there is no such method here",
        "cancel_after_begin": "CANCELLED",
        "cancel_after_first_response": "CANCELLED",
        "compressed": "UNIMPLEMENTED: compressed messages are not taken; send them as they are",
        "too_large": "RESOURCE_EXHAUSTED: a message of 4194305 bytes; 4194304 is the most",
        "just_large_enough": 4 * 2**20,
    }


async def test_their_client_loses_no_call_while_our_connections_age() -> None:
    """Streams and exchanges that outlast their connection included."""
    async with ours(max_age=1.0) as server:
        answers = await told("load", server.address, str(CALLS))
    assert answers == {"ended": {"OK": CALLS}, "streamed": 60, "exchanged": 30}


# Our client, their server


async def test_our_client_is_answered_as_it_should_be_by_their_server() -> None:
    """The cases that have one request; our client makes no others."""
    async with theirs() as address:
        transport = Transport(address, Raw(), SystemClock())
        assert (await transport(asking(0, name="EmptyCall"))).message == b""
        assert len((await transport(asking(314_159, bytes(271_824)))).message) == 314_159
        sizes = b"".join(size.to_bytes(4, "big") for size in SIZES)
        streamed = transport.streamed(asking(0, sizes, name="StreamingOutputCall"))
        assert [len(message) async for message in streamed] == SIZES
        assert (await transport(asking(1, x_trailing="b"))).headers["x-trailing"] == "b"
        error = await refusal(transport, asking(1, x_status="2"))
        assert (error.status, error.message) == (Status.UNKNOWN, MESSAGE)
        for name, service in [("UnimplementedCall", SERVICE), ("Call", "/grpc.testing.Unimplemented/")]:
            missing = asking(1)._replace(method=method(name, service))
            assert (await refusal(transport, missing)).status is Status.UNIMPLEMENTED
        assert (await refusal(transport, asking(4 * 2**20 + 1))).status is Status.RESOURCE_EXHAUSTED
        late = asking(1, x_sleep="30", timeout=0.1)
        assert (await refusal(transport, late)).status is Status.DEADLINE_EXCEEDED
        cancelled = asyncio.create_task(transport(asking(1, x_sleep="30")))
        await asyncio.sleep(0.1)
        cancelled.cancel()
        await asyncio.wait({cancelled})
        assert cancelled.cancelled()
        assert len((await transport(asking(4 * 2**20))).message) == 4 * 2**20
        transport.close()


async def refusal(transport: Transport, call: Call) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        await transport(call)
    return caught.value


@pytest.mark.parametrize(
    "options",
    [{"max_connection_age_ms": 1_000}, {"max_connection_age_ms": 300, "max_concurrent_streams": 4}],
    ids=["a second", "300 ms and four streams"],
)
async def test_our_client_loses_no_call_while_their_connections_age(options: dict[str, int]) -> None:
    """Stock grpclib lost 48 of 2,500, and every stream."""
    failed: list[MeshError] = []
    async with theirs(max_connection_age_grace_ms=20_000, **options) as address:
        stubs: dict[str, Any] = {
            "methods": {"UnaryCall": method("UnaryCall")},
            "source": Static([address]),
            "codec": Raw(),
        }
        # Their server now and then refuses a stream that its own limit allows, so three attempts would be close.
        async with ServiceClient("testing", events=Events(), policy=Policy(attempts=6), **stubs) as client:

            async def caller(number: int) -> None:
                for each in range(CALLS // 8):
                    sleep = str(((number * 31 + each * 17) % 41) / 1000)
                    try:
                        await client.call("UnaryCall", bytes(4), timeout=20, metadata={"x-sleep": sleep})
                    except MeshError as error:
                        failed.append(error)

            transport = Transport(address, Raw(), SystemClock())
            streams = [streamed(transport) for _ in range(3)]
            *_, one, two, three = await asyncio.gather(*map(caller, range(8)), *streams)
            transport.close()
    assert failed == []
    assert (one, two, three) == (60, 60, 60)


async def streamed(transport: Transport) -> int:
    request = asking(0, (10).to_bytes(4, "big") * 60, name="StreamingOutputCall")
    return len([message async for message in transport.streamed(request)])
