"""Google's implementation in a process of its own, as a server or as a client, in raw bytes without stubs.

    python grpcio_peer.py serve '{"grpc.max_connection_age_ms": 1000}'     prints where it serves, until its input ends
    python grpcio_peer.py call 127.0.0.1:50051                             prints what each case was answered, as JSON
    python grpcio_peer.py load 127.0.0.1:50051 2000                        prints how that many calls ended, as JSON

The methods are those of grpc's interop tests (github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md)
as far as they need no message types: a request names the size of its answer in its first four bytes.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import grpc

SERVICE = "grpc.testing.TestService"
LARGE, ANSWER = 271_828, 314_159
MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
DEADLINE = 20  # seconds
PING_PONG = [(27_182, 31_415), (8, 9), (1_828, 2_653), (45_904, 58_979)]
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def asking(answer: int, size: int = 4) -> bytes:
    """A request of `size` bytes for an answer of `answer` bytes."""
    return answer.to_bytes(4, "big").ljust(size, b"\0")


def asked(request: bytes) -> bytes:
    return bytes(int.from_bytes(request[:4], "big"))


# As a server


async def unary(request: bytes, context: Any) -> bytes:
    given = dict(context.invocation_metadata())
    if "x-initial" in given:
        await context.send_initial_metadata([("x-initial", given["x-initial"])])
    if "x-trailing" in given:
        context.set_trailing_metadata([("x-trailing", given["x-trailing"]), ("x-trailing-bin", b"\xab\xab\xab")])
    if "x-sleep" in given:
        await asyncio.sleep(float(given["x-sleep"]))
    if "x-status" in given:
        await context.abort(next(code for code in grpc.StatusCode if code.value[0] == int(given["x-status"])), MESSAGE)
    return asked(request)


async def output(request: bytes, _: Any) -> AsyncIterator[bytes]:
    for at in range(4, len(request), 4):
        await asyncio.sleep(0.05)
        yield asked(request[at:])


async def serving(_: bytes, __: Any) -> bytes:
    """HealthCheckResponse.SERVING."""
    return b"\x08\x01"


async def serve(options: dict[str, int]) -> None:
    server = grpc.aio.server(options=[*options.items(), *UNLIMITED])
    handlers = {
        "EmptyCall": grpc.unary_unary_rpc_method_handler(unary),
        "UnaryCall": grpc.unary_unary_rpc_method_handler(unary),
        "StreamingOutputCall": grpc.unary_stream_rpc_method_handler(output),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    health = {"Check": grpc.unary_unary_rpc_method_handler(serving)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("grpc.health.v1.Health", health)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"127.0.0.1:{port}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


# As a client


class Cases:
    """One case a method."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._unary = partial(self._method("unary_unary", "UnaryCall"), timeout=DEADLINE)

    def _method(self, kind: str, name: str) -> Any:
        return getattr(self._channel, kind)(f"/{SERVICE}/{name}")

    async def empty_unary(self) -> int:
        return len(await self._method("unary_unary", "EmptyCall")(b"", timeout=DEADLINE))

    async def large_unary(self) -> int:
        return len(await self._unary(asking(ANSWER, LARGE)))

    async def client_streaming(self) -> int:
        call = self._method("stream_unary", "StreamingInputCall")(timeout=DEADLINE)
        for size, _ in PING_PONG:
            await call.write(bytes(size))
        await call.done_writing()
        return int.from_bytes(await call, "big")

    async def server_streaming(self) -> list[int]:
        sizes = [answer for _, answer in PING_PONG]
        request = asking(0) + b"".join(map(asking, sizes))
        return [
            len(each) async for each in self._method("unary_stream", "StreamingOutputCall")(request, timeout=DEADLINE)
        ]

    async def ping_pong(self) -> list[int]:
        call, sizes = self._method("stream_stream", "FullDuplexCall")(timeout=DEADLINE), []
        for size, answer in PING_PONG:
            await call.write(asking(answer, size))
            sizes.append(len(await call.read()))
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        return sizes

    async def empty_stream(self) -> list[int]:
        call = self._method("stream_stream", "FullDuplexCall")(timeout=DEADLINE)
        await call.done_writing()
        return [len(each) async for each in call]

    async def custom_metadata(self) -> list[Any]:
        call = self._unary(asking(1), metadata=[("x-initial", "a"), ("x-trailing", "b")])
        initial, trailing = dict(await call.initial_metadata()), dict(await call.trailing_metadata())
        return [initial.get("x-initial"), trailing.get("x-trailing"), trailing.get("x-trailing-bin", b"").hex()]

    async def status_code_and_message(self) -> str:
        return await refusal(self._unary(asking(1), metadata=[("x-status", "2")]))

    async def unimplemented_method(self) -> str:
        return await refusal(self._method("unary_unary", "UnimplementedCall")(b"", timeout=DEADLINE))

    async def unimplemented_service(self) -> str:
        return await refusal(self._channel.unary_unary("/grpc.testing.Unimplemented/Call")(b"", timeout=DEADLINE))

    async def timeout_on_sleeping_server(self) -> str:
        return await refusal(self._method("unary_unary", "UnaryCall")(b"", timeout=0.05, metadata=[("x-sleep", "30")]))

    async def cancel_after_begin(self) -> str:
        call = self._method("stream_unary", "StreamingInputCall")(timeout=DEADLINE)
        await call.wait_for_connection()
        call.cancel()
        return str((await call.code()).name)

    async def cancel_after_first_response(self) -> str:
        call = self._method("stream_stream", "FullDuplexCall")(timeout=DEADLINE)
        await call.write(asking(3))
        await call.read()
        call.cancel()
        return str((await call.code()).name)

    async def compressed(self) -> str:
        return await refusal(self._unary(asking(1, 1_000), compression=grpc.Compression.Gzip))

    async def too_large(self) -> str:
        return await refusal(self._unary(asking(1, 4 * 2**20 + 1)))

    async def just_large_enough(self) -> int:
        return len(await self._unary(asking(4 * 2**20, 4 * 2**20)))


async def refusal(call: Awaitable[Any]) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name}: {error.details()}"
    return "OK"


async def call(address: str) -> dict[str, Any]:
    async with grpc.aio.insecure_channel(address, options=UNLIMITED) as channel:
        cases = Cases(channel)
        named: list[Callable[[], Awaitable[Any]]] = [getattr(cases, name) for name in vars(Cases) if name[0] != "_"]
        return {case.__name__: await case() for case in named}


async def load(address: str, calls: int, callers: int = 8) -> dict[str, Any]:
    """Calls that take 0 to 40 ms each, and beside them streams and ping-pongs that outlast a connection."""
    ended: Counter[str] = Counter()
    async with grpc.aio.insecure_channel(address) as channel:
        unary = channel.unary_unary(f"/{SERVICE}/UnaryCall")
        duplex = channel.stream_stream(f"/{SERVICE}/FullDuplexCall")
        output = channel.unary_stream(f"/{SERVICE}/StreamingOutputCall")

        async def caller(number: int) -> None:
            for each in range(calls // callers):
                sleep = str(((number * 31 + each * 17) % 41) / 1000)
                ended[await refusal(unary(asking(9), timeout=DEADLINE, metadata=[("x-sleep", sleep)]))] += 1

        async def streamed() -> int:
            request = asking(0) + asking(10) * 60
            return len([each async for each in output(request, timeout=DEADLINE)])

        async def paced() -> int:
            call = duplex(timeout=DEADLINE)
            for _ in range(30):
                await call.write(asking(5))
                await call.read()
                await asyncio.sleep(0.1)
            await call.done_writing()
            return 30

        *_, seen, exchanged = await asyncio.gather(*map(caller, range(callers)), streamed(), paced())
    return {"ended": ended, "streamed": seen, "exchanged": exchanged}


def main(what: str, where: str, count: str = "0") -> None:
    if what == "serve":
        asyncio.run(serve(json.loads(where)))
    else:
        sys.stdout.write(json.dumps(asyncio.run(call(where) if what == "call" else load(where, int(count)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
