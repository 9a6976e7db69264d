"""An open-loop load: calls begin when they are due, whether or not earlier ones are answered.

A call's time counts from the moment at which it was due, not from the one at which it left: a caller that
waits is a caller that waits, whoever is to blame ("How NOT to Measure Latency", Gil Tene, 2015).
"""

import asyncio
from collections.abc import Iterable
from random import Random
from time import perf_counter
from typing import NamedTuple

from benchmarks.ways import Way

WRITES = 0.2
"""The share of calls that are writes."""
OK = "ok"
WRONG = "wrong_answer"


class Made(NamedTuple):
    """One call.

    Attributes:
        at: seconds from the load's beginning to the moment at which it was due.
        took: seconds from then to its end.
        outcome: "ok", or why it failed.
    """

    at: float
    took: float
    method: str
    outcome: str


class Load:
    """Poisson arrivals of so many calls a second.

    Attributes:
        made: each call that has ended.
        most_in_flight: at one moment.
    """

    def __init__(self, way: Way, rate: float, rng: Random) -> None:
        self._way, self._rate, self._rng = way, rate, rng
        self.made: list[Made] = []
        self.most_in_flight, self._enough = 0, False
        self._loop = asyncio.get_running_loop()
        self.began = self._loop.time()

    def now(self) -> float:
        """Seconds since it began."""
        return self._loop.time() - self.began

    def enough(self) -> None:
        """No more calls begin."""
        self._enough = True

    async def run(self, seconds: float = float("inf")) -> None:
        """Begins the calls of so many seconds, or until it is enough, and returns when the last has ended."""
        in_flight = set[asyncio.Task[None]]()
        self.began = self._loop.time()
        for number, (at, method) in enumerate(self._arrivals(seconds)):
            if (wait := at - self.now()) > 0:
                await asyncio.sleep(wait)
            if self._enough:
                break
            task = self._loop.create_task(self._call(number, at, method))
            in_flight.add(task)
            task.add_done_callback(in_flight.discard)
            self.most_in_flight = max(self.most_in_flight, len(in_flight))
        while in_flight:
            await asyncio.wait(in_flight)

    def _arrivals(self, seconds: float) -> Iterable[tuple[float, str]]:
        at = self._rng.expovariate(self._rate)
        while at < seconds:
            yield at, "Write" if self._rng.random() < WRITES else "Read"
            at += self._rng.expovariate(self._rate)

    async def _call(self, number: int, at: float, method: str) -> None:
        message = number.to_bytes(8, "big")
        try:
            outcome = OK if await self._way.call(method, message) == message else WRONG
        except Exception as error:  # noqa: BLE001  # each way fails in words of its own
            outcome = str(getattr(error, "reason", type(error).__name__))
        self.made.append(Made(at, self.now() - at, method, outcome))


async def saturation(way: Way, seconds: float, callers: int = 64) -> float:
    """Calls a second that come through when so many callers ask again as soon as they are answered."""
    end, done = perf_counter() + seconds, 0

    async def ask() -> None:
        nonlocal done
        while perf_counter() < end:
            await way.call("Read", b"saturation")
            done += 1

    await asyncio.gather(*(ask() for _ in range(callers)))
    return done / seconds
