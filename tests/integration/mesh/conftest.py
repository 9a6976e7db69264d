"""Connections that are closed when a test is over, however it ends."""

from collections.abc import AsyncIterator, Callable

import pytest
from grpclib.encoding.proto import ProtoCodec

from mesh.clock import SystemClock
from mesh.transport import Transport

To = Callable[[str], Transport]


@pytest.fixture
async def to() -> AsyncIterator[To]:
    opened: list[Transport] = []

    def connect(address: str) -> Transport:
        opened.append(Transport(address, ProtoCodec(), SystemClock()))
        return opened[-1]

    yield connect
    for transport in opened:
        transport.close()
