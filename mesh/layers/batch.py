"""Calls of one method to one endpoint that come in the same turn of the loop travel as one."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from grpclib.encoding.base import CodecBase

from mesh.batch import Batch, metadata_of
from mesh.cache.flights import Tasks
from mesh.call import PUSHBACK, Call, Handler, Reply
from mesh.clock import Clock
from mesh.errors import Lost, MeshError, RemoteError
from mesh.events import Batched, Events
from mesh.status import Status

MOST = 64  # calls that travel as one
LARGEST = 64 * 1024  # bytes of a request that travels with others
UNKNOWN_FOR = 60.0  # seconds for which an endpoint that does not know the batch is not asked by it again

Streamed = Callable[[Call], AsyncGenerator[Any, None]]
Read = Callable[[bytes, Mapping[str, str], str | None], RemoteError]


class Waiting(NamedTuple):
    """A call, and what becomes of it: None when it is to go alone."""

    call: Call
    told: "asyncio.Future[Reply | None]"


class Batching:
    """A layer, innermost: what lies above it sees each call as if it travelled alone.

    Each keeps its own time: whoever gives up waits no longer, and nobody waits for another's answer.

    Args:
        batches: by the path of the method whose calls they carry.
        streamed: makes a call that is answered by several messages.
        read: makes the error of a google.rpc.Status, with the metadata and the pushback that came with it.
        tasks: owns the calls that carry others.
    """

    def __init__(
        self,
        endpoint: str,
        batches: Mapping[str, Batch],
        streamed: Streamed,
        read: Read,
        codec: CodecBase,
        tasks: Tasks,
        clock: Clock,
        events: Events,
    ) -> None:
        self._endpoint, self._batches, self._streamed, self._read = endpoint, batches, streamed, read
        self._codec, self._tasks, self._clock, self._events = codec, tasks, clock, events
        self._gathering: dict[str, list[Waiting]] = {}
        self._known_from = -inf

    def __call__(self, following: Handler) -> Handler:
        async def handler(call: Call) -> Reply:
            if call.method.path not in self._batches or self._clock.now() < self._known_from:
                return await following(call)
            told = await self._gathered(call)
            return await following(call) if told is None else told

        return handler

    def _gathered(self, call: Call) -> "asyncio.Future[Reply | None]":
        loop, path = asyncio.get_running_loop(), call.method.path
        waiting = Waiting(call, loop.create_future())
        gathering = self._gathering.get(path)
        if gathering is None:
            self._gathering[path] = [waiting]
            loop.call_soon(self._leave, path)
        else:
            gathering.append(waiting)
        return waiting.told

    def _leave(self, path: str) -> None:
        """The turn is over: whoever has come goes."""
        batch, together = self._batches[path], list[Waiting]()
        for each in self._gathering.pop(path):
            if each.told.done():
                continue  # it has given up
            if self._fits(each.call):
                together.append(each)
            else:
                each.told.set_result(None)
        for first in range(0, len(together), MOST):
            items = together[first : first + MOST]
            if len(items) == 1:
                items[0].told.set_result(None)
            else:
                self._go(batch, items)

    def _fits(self, call: Call) -> bool:
        try:
            return len(self._codec.encode(call.message, call.method.request)) <= LARGEST
        except Exception:  # noqa: BLE001  # whatever it is, it is told to this caller only, once it is sent alone
            return False

    def _go(self, batch: Batch, items: Sequence[Waiting]) -> None:
        for call, _ in items:
            self._events.emit(Batched(call.method.path, call.request_id, self._endpoint, len(items)))
        task = self._tasks.start(self._carry(batch, items))

        def given_up(told: "asyncio.Future[Reply | None]") -> None:
            if told.cancelled() and all(each.told.done() for each in items):
                task.cancel()  # nobody waits any more

        for each in items:
            each.told.add_done_callback(given_up)

    async def _carry(self, batch: Batch, items: Sequence[Waiting]) -> None:
        try:
            async for answers in self._streamed(self._call(batch, items)):
                for answer in answers.items:
                    self._tell(items[answer.number].told, answer)
            raise Lost("the answers to several calls that travelled as one lacked this one's", reason="answer_missing")
        except MeshError as error:
            if isinstance(error, RemoteError) and error.status is Status.UNIMPLEMENTED:
                self._known_from = self._clock.now() + UNKNOWN_FOR
                self._end(items, None)
            else:
                self._end(items, error)
        except asyncio.CancelledError:
            self._end(items, Lost("the client was closed", reason="client_closed"))
            raise

    def _call(self, batch: Batch, items: Sequence[Waiting]) -> Call:
        now = self._clock.now()
        requests = [
            batch.item(
                request=call.message,
                timeout_ms=0 if call.deadline == inf else max(1, int((call.deadline - now) * 1000)),
                metadata=batch.entries(call.metadata),
            )
            for call, _ in items
        ]
        last = max(call.deadline for call, _ in items)
        return Call(batch.method, batch.method.request(items=requests), last - now, last)

    def _tell(self, told: "asyncio.Future[Reply | None]", answer: Any) -> None:
        if told.done():
            return  # its caller has given up
        metadata = metadata_of(answer.metadata)
        pushback = metadata.pop(PUSHBACK, None)
        if answer.alone:
            told.set_result(None)
        elif answer.status:
            told.set_exception(self._read(answer.status, metadata, pushback))
        else:
            told.set_result(Reply(answer.reply, metadata, self._endpoint))

    def _end(self, items: Sequence[Waiting], error: MeshError | None) -> None:
        for _, told in items:
            if told.done():
                continue
            if error is None:
                told.set_result(None)
            else:
                told.set_exception(_copy(error))


def _copy(error: MeshError) -> MeshError:
    """Each caller has an error of its own: layers write into it."""
    copied = type(error).__new__(type(error), *error.args)
    copied.__dict__.update(error.__dict__)
    return copied
