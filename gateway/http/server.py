"""uvicorn under the app: a socket of ours, our protocol, and an end that is bounded."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import uvicorn

from gateway.http.edge import App
from gateway.http.limits import KEEP_ALIVE
from gateway.http.protocol import limited
from process.run import Stop

BACKLOG = 1024

log = logging.getLogger("gateway")


class Ending(NamedTuple):
    """How long the end may take.

    Attributes:
        notice: seconds in which everything is still answered, and each connection closed after its answer.
        grace: seconds after that for what is in flight.
    """

    notice: float
    grace: float


HURRIED = Ending(0.0, 1.0)
"""All must end within 3 seconds then."""


class Server(uvicorn.Server):
    """uvicorn that leaves signals alone: the process has its own way of being told to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A socket on which connections may queue from now on; port 0 takes a free one.

    Raises:
        OSError: the address is taken or not this machine's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port} ({error.strerror}); choose a free port") from None
    return listener


async def serve(app: App, listener: socket.socket, *, connections: int, stop: Stop, ending: Ending) -> None:
    """Serves until `stop` is set; then gives notice, finishes what is in flight, and closes."""
    config = uvicorn.Config(
        app,
        http=limited(connections, stop),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    grace = HURRIED.grace  # if this is cancelled
    try:
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        notice, grace = HURRIED if stop.hurried else ending
        await asyncio.wait({serving}, timeout=notice)
    finally:
        config.timeout_graceful_shutdown = grace  # type: ignore[assignment]  # a fraction is as good
        server.should_exit = True
        await serving
