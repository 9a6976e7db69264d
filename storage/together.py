"""What is asked for in the same turn of the loop is looked up in one go."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Together(Generic[A, R]):
    """Gathers what is asked, and answers each as if it were alone.

    Args:
        alone: finds one thing,
        several: or several, in their order; what it raises befalls all of them.
        most: so many at once.
    """

    def __init__(
        self, alone: Callable[[A], Awaitable[R]], several: Callable[[Sequence[A]], Awaitable[Sequence[R]]], most: int
    ) -> None:
        self._alone, self._several, self._most = alone, several, most
        self._asked: list[tuple[A, asyncio.Future[R | None]]] = []
        self._running = set[asyncio.Task[None]]()

    async def ask(self, what: A) -> R:
        """One thing; whoever gives up waits no longer, and the others are answered all the same."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[R | None] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._go)
        self._asked.append((what, told))
        found = await told
        return await self._alone(what) if found is None else found

    def _go(self) -> None:
        asked = [(what, told) for what, told in self._asked if not told.done()]
        self._asked.clear()
        for first in range(0, len(asked), self._most):
            part = asked[first : first + self._most]
            if len(part) == 1:
                part[0][1].set_result(None)
                continue
            task = asyncio.create_task(self._find(part))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _find(self, asked: Sequence[tuple[A, "asyncio.Future[R | None]"]]) -> None:
        try:
            found: Sequence[R | None] = await self._several([what for what, _ in asked])
        except Exception as error:  # noqa: BLE001  # it is theirs who asked
            for _, told in asked:
                if not told.done():
                    told.set_exception(error)
        else:
            for (_, told), each in zip(asked, found, strict=True):
                if not told.done():
                    told.set_result(each)
        finally:
            for _, told in asked:
                told.cancel()  # of those who were not told: this process ends
