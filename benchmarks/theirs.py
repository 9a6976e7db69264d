"""Google's implementation as the service under load: `python -m benchmarks.theirs OPTIONS`, as `benchmarks.work` is.

It knows of the options only `port`, `work` and `max_age`, and behaves in one way.
"""

import asyncio
import json
import sys
from typing import Any

import grpc

from benchmarks.work import METHODS, SERVICE, Options


async def serve(options: Options) -> None:
    """Serves until its input ends."""

    async def answer(request: bytes, _: Any) -> bytes:
        await asyncio.sleep(options.work)
        return request

    async def check(_: bytes, __: Any) -> bytes:
        return b"\x08\x01"  # HealthCheckResponse.SERVING

    ages = [("grpc.max_connection_age_ms", round(1_000 * options.max_age))] if options.max_age < float("inf") else []
    server = grpc.aio.server(options=ages)
    methods = {name: grpc.unary_unary_rpc_method_handler(answer) for name in METHODS}
    health = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    for name, handlers in ((SERVICE, methods), ("grpc.health.v1.Health", health)):
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, handlers)])
    port = server.add_insecure_port(f"127.0.0.1:{options.port}")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(serve(Options(**json.loads(sys.argv[1]))))
