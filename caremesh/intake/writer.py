"""Writes rows with bounded concurrency; every row as often as needed and at most once."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
import orjson

from caremesh.intake.answers import Again, Answer, Present, Refused, Taken, judge
from caremesh.intake.report import Outcome, Report
from caremesh.rows import Row
from mesh.decide.backoff import full_jitter

ANSWER = 10.0  # seconds to wait for one answer; the gateway's own deadline is far shorter
PATIENCE = 60.0  # seconds that one row is tried again and again
PARTING = 3.0  # seconds for what is under way when the work is interrupted
CONCURRENCY = 16
_HEADERS = {"Content-Type": "application/json"}


class Away(Exception):
    """The gateway has taken no row for so long that it makes no sense to go on."""


@dataclass
class Writer:
    """Writes through one gateway; `stop` ends it early: what is under way is finished, the rest is left."""

    gateway: str
    report: Report
    stop: asyncio.Event
    concurrency: int = CONCURRENCY
    patience: float = PATIENCE
    rng: Random = field(default_factory=Random)
    progressed: Callable[[], object] = lambda: None
    _last: float = field(default_factory=time.monotonic)

    async def write(self, rows: Iterable[Row]) -> None:
        """Writes all rows.

        Raises:
            Away: when no row was taken for `patience` seconds.
        """
        connector = aiohttp.TCPConnector(limit=self.concurrency)
        timeout = aiohttp.ClientTimeout(total=ANSWER)
        async with aiohttp.ClientSession(self.gateway, connector=connector, timeout=timeout) as session:
            try:
                await self._work(session, iter(rows))
            except* Away as away:
                raise away.exceptions[0] from None

    async def _work(self, session: aiohttp.ClientSession, rows: Iterator[Row]) -> None:
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._take(session, rows)) for _ in range(self.concurrency)]
            cutting = group.create_task(self._cut(workers))
            await asyncio.wait(workers)
            cutting.cancel()

    async def _cut(self, workers: list["asyncio.Task[None]"]) -> None:
        await self.stop.wait()
        await asyncio.wait(workers, timeout=PARTING)
        for worker in workers:
            worker.cancel()

    async def _take(self, session: aiohttp.ClientSession, rows: Iterator[Row]) -> None:
        for row in rows:
            outcome = await self._row(session, row)
            if outcome is not None:
                self.report.count(row.group, outcome)
                self.progressed()
            if self.stop.is_set():
                return

    async def _row(self, session: aiohttp.ClientSession, row: Row) -> Outcome | None:
        """What became of it; None when interrupted before that was known."""
        began, attempt, unclear = time.monotonic(), 0, False
        while True:
            answer = await self._post(session, row)
            attempt += 1
            if not isinstance(answer, Again):
                self._last = time.monotonic()
                return self._settled(row, answer, unclear=unclear)
            unclear = unclear or answer.unclear
            if time.monotonic() - began > self.patience:
                return self._given_up(row, answer)
            await self._pause(max(answer.after, full_jitter(attempt, 0.1, 3.0, self.rng)))
            if self.stop.is_set():
                return None

    async def _post(self, session: aiohttp.ClientSession, row: Row) -> Answer:
        try:
            body = orjson.dumps(row.body)
            async with session.post(f"/{row.collection}", data=body, headers=_HEADERS) as response:
                return judge(response.status, response.headers, _json(await response.read(), response.status))
        except aiohttp.ClientConnectorError:
            return Again("no connection", 0.0, unclear=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Again(f"no answer ({type(error).__name__})", 0.0, unclear=True)

    def _settled(self, row: Row, answer: Taken | Present | Refused, *, unclear: bool) -> Outcome:
        match answer:
            case Taken():
                return Outcome.ADDED
            case Present():
                return Outcome.FOUND if unclear else Outcome.PRESENT
        self.report.reason(answer.reason, row.where)
        return Outcome.REFUSED if answer.fault == "row" else Outcome.FAILED

    def _given_up(self, row: Row, answer: Again) -> Outcome:
        self.report.reason(f"{answer.reason}, for {self.patience:.0f} s", row.where)
        if time.monotonic() - self._last > self.patience:
            raise Away(answer.reason)
        return Outcome.FAILED

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)


def _json(body: bytes, status: int) -> Any:
    if status < 400:  # noqa: PLR2004  # only a problem is read
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
