"""A gRPC server: its methods, its calls in flight, its stop."""

import asyncio
import socket
from collections.abc import Collection
from functools import partial
from random import Random, SystemRandom
from types import TracebackType
from typing import Self
from weakref import WeakSet

from grpclib.encoding.base import CodecBase
from grpclib.encoding.proto import ProtoCodec

from mesh.admission import Admission
from mesh.batch import batches_of
from mesh.call import Service
from mesh.clock import Clock, SystemClock
from mesh.decide.late import Late
from mesh.details import DetailsCodec
from mesh.events import Events
from mesh.policy import AdmissionPolicy
from mesh.server.admitting import Admitting
from mesh.server.answering import Answering
from mesh.server.caller import Caller
from mesh.server.health import Health, HealthService
from mesh.server.methods import Methods
from mesh.transport.connection import MAX_MESSAGE

AGE_JITTER = 0.1  # a tenth more or less, so that callers do not all come back at once


class Server:
    """Serves generated services, and `grpc.health.v1` beside them, while its block is entered.

    Args:
        services: instances of generated service bases; their methods may raise StatusError.
        host: the address to listen on.
        port: 0 takes a free one.
        health: what probes are told; set to not serving when the block is left.
        codec: turns messages into bytes and back; by default as betterproto2 does it.
        domain: google.rpc.ErrorInfo.domain of the errors.
        notice: seconds that callers have to go elsewhere by themselves when the block is left.
        grace: seconds for what is in flight then.
        max_age: seconds, a tenth more or less, after which a connection's caller is asked to make a new one.
        age_grace: seconds that the old one then has for what is in flight on it.
        max_message: bytes of one request; a longer one is RESOURCE_EXHAUSTED.
        max_streams: calls at one time on one connection.
        admission: how many calls it takes on at one time; None for any number. Probes and streams always pass.
        max_noise: frames a second on one connection that bring no call on, such as resets and pings; a caller that
            sends more of them is cut off.

    Attributes:
        address: "host:port", once the block is entered.
        admission: where calls are let in, unless it takes any number.
        notice, grace: may be changed until the block is left.
    """

    def __init__(
        self,
        services: Collection[Service],
        *,
        health: Health,
        events: Events,
        host: str = "127.0.0.1",
        port: int = 0,
        codec: CodecBase | None = None,
        domain: str = "mesh",
        notice: float = 0.0,
        grace: float = 0.7,
        max_age: float = float("inf"),
        age_grace: float = float("inf"),
        max_message: int = MAX_MESSAGE,
        max_streams: int = 100,
        admission: AdmissionPolicy | None = None,
        max_noise: float = 2000.0,
        clock: Clock | None = None,
        rng: Random | None = None,
    ) -> None:
        self._health = health
        self.notice, self.grace = notice, grace
        self._host, self._port = host, port
        self._clock, self._rng, self._max_age = clock or SystemClock(), rng or SystemRandom(), max_age
        names = frozenset(path.split("/")[1] for service in services for path in service.__mapping__())
        self.admission: Admission | None = None
        if admission is not None:
            self.admission = Admission(
                min(names, default=""), admission, clock=self._clock, rng=self._rng, events=events
            )
        late = None if admission is None else Late(admission)
        self._methods = Methods((*services, HealthService(health, names)), events, domain, self._clock, late)
        admitting = Admitting(self.admission, domain, self._clock) if self.admission else None
        codec = codec or ProtoCodec()
        for service in services:
            for batch in batches_of(service).values():
                self._methods.carry(batch, codec, admitting)
        self._caller = partial(
            Caller,
            Answering(self._methods.table, codec, DetailsCodec(), admitting),
            self._opened,
            self._clock,
            max_message=max_message,
            max_streams=max_streams,
            age_grace=age_grace,
            max_noise=max_noise,
        )
        self._callers: WeakSet[Caller] = WeakSet()
        self._stopping, self._retiring = False, set[asyncio.Task[None]]()
        self.address = ""

    async def __aenter__(self) -> Self:
        listening = _listen(self._host, self._port)
        host, port = listening.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._listener = await asyncio.get_running_loop().create_server(self._accepted, sock=listening)
        if self.admission is not None:
            await self.admission.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.drain()
        finally:
            if self.admission is not None:
                await self.admission.__aexit__(kind, error, trace)

    async def drain(self) -> None:
        """Says that it does not serve, answers on until its callers have gone, ends with those that stay, and closes.

        Who is still connected when the notice is over is told to go on elsewhere (GOAWAY), and what is in flight
        is answered, within the grace. Streams end UNAVAILABLE once nothing else is in flight. What is still there
        when the grace is over is cut off.
        """
        self._health.set_serving(False)
        await self._callers_gone()
        self._listener.close()
        self._stopping = True
        for caller in self._callers:
            self._retire(caller)
        try:
            async with self._clock.timeout(self.grace):
                await self._methods.finished()
                while self._retiring:
                    await asyncio.wait(self._retiring)
        except TimeoutError:
            pass  # the grace is over
        finally:
            for caller in list(self._callers):
                caller.break_off("the server has stopped")
                await caller.ended()
            await self._listener.wait_closed()

    async def _callers_gone(self) -> None:
        try:
            async with self._clock.timeout(self.notice):
                while still := [caller for caller in self._callers if not caller.closed.is_set()]:
                    await still[0].closed.wait()
        except TimeoutError:
            pass  # the notice is over

    def _accepted(self) -> Caller:
        age = self._max_age * self._rng.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)
        return self._caller(max_age=age)

    def _opened(self, caller: Caller) -> None:
        self._callers.add(caller)
        if self._stopping:
            self._retire(caller)

    def _retire(self, caller: Caller) -> None:
        task = asyncio.create_task(caller.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or asyncio would not take the accepted sockets for TCP and leave Nagle's
    # algorithm on: 40 ms a call.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port} ({error.strerror}); choose a free port") from None
    return listening
