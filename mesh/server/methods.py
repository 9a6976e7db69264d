"""What happens around a method: its call is told to listeners, bounded in time, and its failures become statuses."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from grpclib.const import Handler
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError
from h2.exceptions import ProtocolError

from mesh.batch import Batch
from mesh.call import REQUEST_ID, Service
from mesh.clock import Clock
from mesh.decide.late import Late
from mesh.errors import TOO_LARGE, Unreadable
from mesh.events import Events, NotBegun, ServerEnded, ServerStarted, WouldHave, whence
from mesh.server.admitting import Admitting
from mesh.server.answering import Served
from mesh.server.batches import Batched
from mesh.server.current import ServerCall, current, handling
from mesh.server.status import StatusError
from mesh.status import Status
from mesh.timing import SERVER_TIMING, written
from mesh.transport import texts
from mesh.transport.connection import BadMessage

Method = Callable[[Served], Awaitable[None]]
FAILED = "the service failed on this request"
TICK = 0.001  # seconds by which a timer of the loop may be early


class Methods:
    """The methods of a server's services, and their calls in flight.

    Attributes:
        table: by path, as a request names it.
    """

    def __init__(
        self, services: Iterable[Service], events: Events, domain: str, clock: Clock, late: Late | None = None
    ) -> None:
        self._events, self._domain, self._clock, self._late = events, domain, clock, late
        self.table = {path: self._wrapped(path, each) for one in services for path, each in one.__mapping__().items()}
        self._working: set[asyncio.Task[Any] | None] = set()
        self._streaming: set[asyncio.Task[Any] | None] = set()
        self._stopping = False
        self._done = asyncio.Event()

    async def finished(self) -> None:
        """Returns once no call is in flight; then ends the streams, which last as long as their caller wants.

        They end with UNAVAILABLE: their callers know that the link is well and the server stops.
        """
        if self._working:
            self._done.clear()
            await self._done.wait()
        self._stopping = True
        for task in self._streaming:
            if task is not None:
                task.cancel()

    def carry(self, batch: Batch, codec: CodecBase, admitting: Admitting | None) -> None:
        """Takes several requests of a method as one call, too. It is told of each of them, not of what carries them."""
        handler = Batched(batch, self.table[batch.of], codec, admitting, self._clock).handler()
        self.table[batch.method.path] = handler._replace(func=partial(self._carried, handler.func))

    async def _carried(self, method: Method, stream: Served) -> None:
        with self._counted(self._working):
            try:
                await method(stream)
            except ProtocolError:
                raise  # the caller has gone
            except Exception as error:  # noqa: BLE001  # as below
                raise _answer(error)[0].on_the_wire(self._domain) from None

    @contextmanager
    def _counted(self, tasks: set[asyncio.Task[Any] | None]) -> Iterator[None]:
        task = asyncio.current_task()
        tasks.add(task)
        try:
            yield
        finally:
            tasks.discard(task)
            if not self._working:
                self._done.set()

    def _wrapped(self, path: str, handler: Handler) -> Handler:
        in_flight = partial(self._in_flight, path, handler.func, streams=handler.cardinality.server_streaming)
        return handler._replace(func=in_flight)

    async def _in_flight(self, path: str, method: Method, stream: Served, *, streams: bool) -> None:
        task = asyncio.current_task()
        if streams and self._stopping and task is not None:
            task.cancel()
        with self._counted(self._streaming if streams else self._working):
            await self._told(path, method, stream, streams=streams)

    async def _told(self, path: str, method: Method, stream: Served, *, streams: bool) -> None:
        started = ServerStarted(path, texts(stream.metadata))
        handling(self._call(path, started.metadata, stream))
        begun, status, code = self._clock.now(), Status.CANCELLED, ""
        failure: str | None = None
        self._events.emit(started)
        try:
            await self._bounded(method, stream)
            if not streams:
                await stream.send_trailing_metadata(metadata=self._trailers(begun, stream))
            status = Status.OK
            if self._late is not None and not streams:
                now = self._clock.now()
                self._late.took(path, now - begun, now)
        except asyncio.CancelledError as error:
            if not _from_outside():  # else nobody would answer
                status, failure = Status.INTERNAL, whence(error)
                raise StatusError(status, FAILED).on_the_wire(self._domain) from None
            if not (streams and self._stopping):
                raise
            status = Status.UNAVAILABLE
            raise StatusError(status, "the server stops").on_the_wire(self._domain) from None
        except ProtocolError:
            raise  # the caller has gone
        except Exception as error:  # noqa: BLE001  # the caller is told that, and nothing of the inside
            told, failure = _answer(error)
            status, code = told.status, told.code
            if told.pushback is not None:
                stream.push_back(told.pushback)
            refusal = told.on_the_wire(self._domain)
            if not streams:
                await stream.send_trailing_metadata(
                    status=refusal.status,
                    status_message=refusal.message,
                    status_details=refusal.details,
                    metadata=self._trailers(begun, stream),
                )
            raise refusal from None
        finally:
            self._events.emit(ServerEnded(started, status.name, code, self._clock.now() - begun, failure))

    def _trailers(self, begun: float, stream: Served) -> dict[str, str]:
        """What the method said, and where the time went."""
        call, took = current(), self._clock.now() - begun
        parts = {"queue": stream.waited, **call.spent, "service": took - sum(call.spent.values())}
        return call.trailers | {SERVER_TIMING: written(parts)}

    async def _bounded(self, method: Method, stream: Served) -> None:
        left = current().remaining()
        if left is None:
            return await method(stream)
        if not left:
            raise StatusError(Status.DEADLINE_EXCEEDED, "the caller's time ran out before the call was begun with")
        if self._late is not None:
            self._in_time(self._late, left)
        try:
            async with self._clock.timeout(left):
                return await method(stream)
        except TimeoutError:
            if (current().remaining() or 0) < TICK:
                raise StatusError(Status.DEADLINE_EXCEEDED, "the caller's time ran out") from None
            raise

    def _in_time(self, late: Late, left: float) -> None:
        """Raises StatusError for what its caller would hardly wait for."""
        call = current()
        usual = late.usual(call.method, left, self._clock.now())
        if usual is None:
            return
        request_id, why = call.headers.get(REQUEST_ID, ""), "too_little_time"
        if late.mode == "shadow":
            what = f"refused the call: {left * 1000:.0f} ms are left, and half of its kind take {usual * 1000:.0f}"
            service = call.method.split("/")[1]
            self._events.emit(WouldHave(service, "late", what, why, "", call.method, request_id))
        else:
            self._events.emit(NotBegun(call.method, request_id, why, left, usual))
            raise StatusError(Status.DEADLINE_EXCEEDED, "it was not begun with: its caller would not wait long enough")

    def _call(self, path: str, headers: Mapping[str, str], stream: Served) -> ServerCall:
        left = stream.deadline.time_remaining() if stream.deadline else None
        deadline = None if left is None else self._clock.now() + left
        return ServerCall(path, headers, deadline, self._clock)


def _from_outside() -> bool:
    """Is it this task that is cancelled? If not, its method has tripped over something that was."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _answer(error: Exception) -> tuple[StatusError, str | None]:
    """What the caller is told, and where the failure lies if nobody foresaw it."""
    if isinstance(error, StatusError):
        return error, None
    if isinstance(error, GRPCError):  # how a service written for grpclib says no
        return StatusError(Status(error.status.value), error.message or ""), None
    if isinstance(error, Unreadable):
        return StatusError(Status.INVALID_ARGUMENT, str(error)), None
    if isinstance(error, BadMessage):
        code = TOO_LARGE if error.status is Status.RESOURCE_EXHAUSTED else ""
        return StatusError(error.status, str(error), code=code), None
    return StatusError(Status.INTERNAL, FAILED), whence(error)
