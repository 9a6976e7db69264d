"""A gRPC server: the only place on the answering side that touches grpclib."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

from grpclib.const import Handler as GrpcHandler
from grpclib.encoding.base import CodecBase
from grpclib.encoding.proto import ProtoCodec
from grpclib.exceptions import StreamTerminatedError
from grpclib.protocol import H2Protocol
from grpclib.server import Server as GrpcServer
from grpclib.server import Stream
from h2.exceptions import StreamClosedError

from mesh.call import Service
from mesh.clock import Clock, SystemClock
from mesh.details import DetailsCodec
from mesh.errors import Unreadable
from mesh.events import Events, ServerEnded, ServerStarted, whence
from mesh.server.current import ServerCall, current, handling
from mesh.server.health import Health, HealthService
from mesh.server.status import StatusError
from mesh.status import Status
from mesh.transport import texts

Method = Callable[[Stream[Any, Any]], Awaitable[None]]


class Server:
    """Serves generated services, and `grpc.health.v1` beside them, while its block is entered.

    Args:
        services: instances of generated service bases; their methods may raise StatusError.
        host: the address to listen on.
        port: 0 takes a free one.
        health: what probes are told; set to not serving when the block is left.
        codec: turns messages into bytes and back; by default as betterproto2 does it.
        domain: google.rpc.ErrorInfo.domain of the errors.
        grace: seconds for what is in flight when the block is left.
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
        grace: float = 0.7,
        clock: Clock | None = None,
    ) -> None:
        self._health, self._events, self._domain, self._grace = health, events, domain, grace
        self._host, self._port = host, port
        self._clock = clock or SystemClock()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        names = frozenset(path.split("/")[1] for service in services for path in service.__mapping__())
        handlers = [_Wrapped(service, self._wrapped) for service in (*services, HealthService(health, names))]
        self._server = _Closing(handlers, codec=codec or ProtoCodec(), status_details_codec=DetailsCodec())
        self.address = ""

    async def __aenter__(self) -> Self:
        listening = _listen(self._host, self._port)
        host, port = listening.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        await self._server.start(sock=listening)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._health.set_serving(False)
        try:
            async with asyncio.timeout(self._grace):
                await self._idle.wait()
        except TimeoutError:
            pass  # the grace is over: what is still in flight is cut off
        finally:
            self._server.close()
            await self._server.wait_closed()

    def _wrapped(self, path: str, method: Method, *, streams: bool) -> Method:
        async def handle(stream: Stream[Any, Any]) -> None:
            started = ServerStarted(path, texts(stream.metadata))
            handling(self._call(path, started.metadata, stream))
            # Streams (watches) last as long as their caller wants and keep nobody from stopping.
            self._enter(not streams)
            begun, status, code, failure = self._clock.now(), Status.CANCELLED, "", None
            self._events.emit(started)
            try:
                await self._answer(method, stream, unary=not streams)
                status = Status.OK
            except asyncio.CancelledError:
                status = Status.DEADLINE_EXCEEDED if current().remaining() == 0 else Status.CANCELLED
                raise
            except (StreamTerminatedError, StreamClosedError):
                raise  # the caller has gone
            except StatusError as error:
                status, code = error.status, error.code
                raise error.on_the_wire(self._domain) from None
            except Unreadable as error:
                status = Status.INVALID_ARGUMENT
                raise StatusError(status, str(error)).on_the_wire(self._domain) from None
            except Exception as error:  # noqa: BLE001  # the caller is told that, and nothing of the inside
                status, failure = Status.INTERNAL, whence(error)
                raise StatusError(status, "the service failed on this request").on_the_wire(self._domain) from None
            finally:
                self._leave(not streams)
                self._events.emit(ServerEnded(started, status.name, code, self._clock.now() - begun, failure))

        return handle

    @staticmethod
    async def _answer(method: Method, stream: Stream[Any, Any], *, unary: bool) -> None:
        await method(stream)
        if unary and current().trailers:
            await stream.send_trailing_metadata(metadata=current().trailers)

    def _call(self, path: str, headers: Mapping[str, str], stream: Stream[Any, Any]) -> ServerCall:
        left = stream.deadline.time_remaining() if stream.deadline else None
        deadline = None if left is None else self._clock.now() + left
        return ServerCall(path, headers, deadline, self._clock)

    def _enter(self, counts: bool) -> None:  # noqa: FBT001
        self._in_flight += counts
        if self._in_flight:
            self._idle.clear()

    def _leave(self, counts: bool) -> None:  # noqa: FBT001
        self._in_flight -= counts
        if not self._in_flight:
            self._idle.set()


class _Closing(GrpcServer):
    """grpclib's server, closing its connections too: callers learn at once that nobody answers here any more."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._protocols: WeakSet[H2Protocol] = WeakSet()

    def _protocol_factory(self) -> H2Protocol:
        protocol = super()._protocol_factory()
        self._protocols.add(protocol)
        return protocol

    def close(self) -> None:
        super().close()
        for protocol in self._protocols:
            if hasattr(protocol, "processor"):
                protocol.processor.close("the server closes")


class _Wrapped:
    """A service with each of its handlers wrapped."""

    def __init__(self, service: Service, wrap: Callable[..., Method]) -> None:
        self._mapping = {
            path: GrpcHandler(
                wrap(path, handler.func, streams=handler.cardinality.server_streaming),
                handler.cardinality,
                handler.request_type,
                handler.reply_type,
            )
            for path, handler in service.__mapping__().items()
        }

    def __mapping__(self) -> dict[str, GrpcHandler]:
        return self._mapping


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
