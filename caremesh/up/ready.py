"""Whether a gateway can serve: GET /readyz, without an HTTP library, since a supervisor should stay small."""

import asyncio
import contextlib

WITHIN = 2.0  # seconds for one answer
EVERY = 0.25  # seconds between two questions


async def ready(address: str) -> bool:
    """Whether /readyz at "host:port" answers 200 now; no answer is a no."""
    try:
        async with asyncio.timeout(WITHIN):
            return await _status(address) == b"200"
    except (OSError, TimeoutError, IndexError):
        return False


async def wait_ready(address: str) -> None:
    """Returns once it can serve; cancel it to give up."""
    while not await ready(address):  # noqa: ASYNC110  # another process's state has no event
        await asyncio.sleep(EVERY)


async def _status(address: str) -> bytes:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode("ascii"))
        return (await reader.readline()).split()[1]
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
