"""Handlers, endpoints and calls for tests of the mesh; no health care in them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mesh.call import Call, Handler, Level, Method, Reply
from mesh.decide.load import Load
from mesh.errors import MeshError
from mesh.events import Event, Events
from mesh.policy import BalancePolicy
from mesh.testing import TurnedClock

E = TypeVar("E", bound=Event)


def a_call(level: Level = Level.NO_SIDE_EFFECTS, *, timeout: float = 2.0, **fields: Any) -> Call:
    method = Method("/test.Echo/Say", str, str, level)
    fields = {"repeatable": level is not Level.UNKNOWN, "attempts": 3} | fields
    return Call(method=method, message="hello", timeout=timeout, **fields)


class Scripted:
    """A handler that answers with the given errors one after the other, and well when they are used up."""

    def __init__(self, *script: MeshError | None, on_call: Callable[[Call], object] = lambda _: None) -> None:
        self.script, self.calls, self._on_call = list(script), list[Call](), on_call

    async def __call__(self, call: Call) -> Reply:
        self.calls.append(call)
        self._on_call(call)
        error = self.script.pop(0) if self.script else None
        if error is not None:
            raise error
        return Reply("well")


def never(_: Call) -> "asyncio.Future[Reply]":
    """A handler that does not answer."""
    return asyncio.get_running_loop().create_future()


async def finished(clock: TurnedClock, handler: Handler, call: Call, seconds: float = 30.0) -> Reply:
    """What a call ends in within so many seconds of the turned clock."""
    task = asyncio.ensure_future(handler(call))
    await clock.turn(seconds)
    assert task.done()
    return await task


class FakeEndpoint(Scripted):
    """The same with an address."""

    def __init__(self, address: str, *script: MeshError | None, available: bool = True) -> None:
        super().__init__(*script)
        self.address, self.available = address, available
        self.load = Load(BalancePolicy(), 1.5, 0.0)

    def usable(self, now: float) -> bool:
        return self.available


class FakePool:
    """Endpoints that are simply there."""

    def __init__(self, *endpoints: FakeEndpoint, retry_after: float = 1.0) -> None:
        self.endpoints, self._retry_after = endpoints, retry_after

    def known(self) -> Sequence[FakeEndpoint]:
        return self.endpoints

    def retry_after(self) -> float:
        return self._retry_after


class Recorded(Events):
    """Events that remember what was told."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Event] = []
        self.subscribe(self.seen.append)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.seen if isinstance(event, kind)]
