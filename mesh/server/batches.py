"""Answers several requests that came as one call, each as if it had come alone."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError
from grpclib.metadata import decode_bin_value

from mesh.batch import Batch, metadata_of
from mesh.call import PUSHBACK
from mesh.clock import Clock
from mesh.details import DetailsCodec
from mesh.server.admitting import Admitting
from mesh.server.answering import Served
from mesh.server.exchange import Exchange
from mesh.server.requests import Asked, Refusal
from mesh.transport import texts
from mesh.transport.connection import MAX_MESSAGE

ROOM = 64  # bytes around an answer


class Batched:
    """The method of one batch.

    Args:
        alone: answers a request that comes alone.
        admitting: lets each of the requests in; None lets in all.
    """

    def __init__(
        self, batch: Batch, alone: Handler, codec: CodecBase, admitting: Admitting | None, clock: Clock
    ) -> None:
        self._batch, self._alone, self._codec = batch, alone, codec
        self._admitting, self._clock = admitting, clock
        self._details = DetailsCodec()

    def handler(self) -> Handler:
        method = self._batch.method
        return Handler(self._answer, Cardinality.UNARY_STREAM, method.request, method.reply)

    async def _answer(self, stream: Served) -> None:
        message: Any = await stream.recv_message()
        ready, more = list[Any](), asyncio.Event()

        async def one(number: int, item: Any) -> None:
            answer = self._batch.answer(number=number, alone=True)  # where there is none, the caller may see why
            try:
                answer = await self._one(number, item)
            finally:
                ready.append(answer)
                more.set()

        tasks = [asyncio.create_task(one(number, item)) for number, item in enumerate(message.items)]
        left = len(tasks)
        try:
            while left:
                await more.wait()
                more.clear()
                answers, ready[:] = list(ready), []
                left -= len(answers)
                for items in self._parts(answers):
                    await stream.send_message(self._batch.method.reply(items=items))
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def _one(self, number: int, item: Any) -> Any:
        timeout, metadata = item.timeout_ms / 1000 if item.timeout_ms else None, metadata_of(item.metadata)
        deadline = float("inf") if timeout is None else self._clock.now() + timeout
        exchange, status = Exchange(item.request, metadata, deadline, self._clock), b""
        try:
            await self._handled(Asked(self._batch.of, self._alone, metadata, timeout, None), exchange)
        except GRPCError as error:
            status = self._details.packed(error)
        except Refusal as refusal:
            said = dict(refusal.headers)
            status, exchange.pushback = decode_bin_value(said["grpc-status-details-bin"].encode()), said[PUSHBACK]
        metadata = texts(exchange.trailing_metadata)
        if exchange.pushback is not None:
            metadata[PUSHBACK] = exchange.pushback
        entries = self._batch.entries(metadata)
        return self._batch.answer(
            number=number, reply=None if status else exchange.answer, status=status, metadata=entries
        )

    async def _handled(self, request: Asked, exchange: Any) -> None:
        if self._admitting is None:
            await self._alone.func(exchange)
        else:
            await self._admitting.handle(request, exchange, await self._admitting.let_in(request))

    def _parts(self, answers: Sequence[Any]) -> Iterator[list[Any]]:
        """As many at once as make no message that is too large."""
        part, size = list[Any](), 0
        for each in answers:
            answer, weight = each, len(self._codec.encode(each, self._batch.answer)) + ROOM
            if weight > MAX_MESSAGE:
                answer, weight = self._batch.answer(number=each.number, alone=True), ROOM
            if part and size + weight > MAX_MESSAGE:
                yield part
                part, size = [], 0
            part.append(answer)
            size += weight
        yield part
