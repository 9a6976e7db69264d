"""A loop whose time jumps: an hour of waiting takes as long as what happens in it."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.BaseSelector):
    """Never waits: where nothing is ready, time goes on by as much as would have been waited."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        self._real, self._jump = selectors.DefaultSelector(), jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if not ready and timeout is None:
            raise RuntimeError("time stands still: everybody waits for something that nobody will do any more")
        if not ready and timeout is not None and timeout > 0:
            self._jump(timeout)
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, most: float) -> None:
        self._at, self._most = 0.0, most
        super().__init__(_Selector(self._jump))

    def time(self) -> float:
        return self._at

    def _jump(self, seconds: float) -> None:
        self._at += seconds
        if self._at > self._most:
            most, self._most = self._most, float("inf")  # so that what is still there can be ended
            raise RuntimeError(f"it has not ended after {most:g} seconds of its own time; give it more if it must")


def in_pure_time(main: Coroutine[Any, Any, T], most: float = 86_400.0) -> T:
    """Runs a coroutine on a loop whose time begins at 0 and jumps to whatever is due next.

    Give `LoopClock` to whatever takes a clock. Sockets, threads and processes need real time, and have no place here.

    Args:
        main: what is run.
        most: seconds of its own time after which it must have ended.

    Raises:
        RuntimeError: it has not ended, and nothing is due any more, or its time is over.
    """
    with asyncio.Runner(loop_factory=lambda: _Loop(most)) as runner:
        return runner.run(main)
