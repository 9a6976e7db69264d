"""A walk over 100,000 records of one patient while others add, change and delete: no row twice, none missed.

And the last of a thousand pages costs what the first does: each is read from the index at its place.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

import aiohttp

from storage.database import Database
from storage.documents import Documents
from storage.pages import Position
from tests.databases import RECORDS
from tests.fakes.mariadb import mariadb
from tests.fakes.plans import plans_of
from tests.faults.asking import session
from tests.faults.long_list import KINDS, PATIENT, ROWS, filled, others_changing
from tests.faults.report import Report, Scenario, telling
from tests.stack import Stack

LIMIT = 100  # rows of a page
REPEATED = 300  # times that pages far apart are read in turn
MOST = 1.2  # what a later page may cost, in first pages

Fetch = Callable[[str], Awaitable[tuple[list[Position], str]]]
"""A page after a cursor: where its rows are, and the next cursor."""


def on_sqlite(scenario: Scenario) -> Report:
    """In this process, and through a gateway and a service on the same file."""
    return asyncio.run(_on_sqlite(scenario))


def on_mariadb(scenario: Scenario) -> Report:
    """In this process."""
    with mariadb() as server, server.database() as address:
        return asyncio.run(_on_mariadb(scenario, address))


async def _on_sqlite(scenario: Scenario) -> Report:
    told = Told()
    async with filled(scenario, f"sqlite:///{scenario.folder}/records.db") as database:
        await _pages(scenario, told, database)
        stack = Stack(scenario.folder, settings={"CAREMESH_LOG_LEVEL": "warning"})
        await asyncio.to_thread(stack.__enter__)
        try:
            async with session(keeps=True) as http:
                await _walks(scenario, told, "over REST", _over_rest(http, stack.url), database)
        finally:
            stack.__exit__(None, None, None)
    return told.report


async def _on_mariadb(scenario: Scenario, address: str) -> Report:
    told = Told()
    async with filled(scenario, address) as database:
        await _pages(scenario, told, database)
    return told.report


@dataclass
class Told:
    """What the walks came to."""

    figures: dict[str, object] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @property
    def report(self) -> Report:
        return Report(self.figures, self.broken)


async def _pages(scenario: Scenario, told: Told, database: Database) -> None:
    documents = Documents(database, RECORDS.shape)
    cursors = await _walks(scenario, told, "in process", _in_process(documents), database)
    plans = [
        plan for cursor in cursors for plan in await plans_of(database, partial(documents.page, PATIENT, LIMIT, cursor))
    ]
    told.figures["statements of three pages, read from the index at their places"] = len(plans)
    wrong = [plan for plan in plans if not plan.at_its_place("records_listed", "date")]
    told.broken += [f"a page is not read from its index: {plan}" for plan in wrong]


async def _walks(scenario: Scenario, told: Told, how: str, fetch: Fetch, database: Database) -> Sequence[str]:
    """A walk in peace, for what pages cost, and one among others. Returns the cursors of pages far apart."""
    costs = await _costs(fetch, scenario.size(ROWS) // LIMIT, scenario.size(REPEATED))
    first, *later = costs.values()
    ratio = round(max(later) / first, 2)
    pages, walked, cursor = 0, list[Position](), ""
    async with (
        others_changing(scenario, database) as others,
        telling(scenario, lambda: f"{how}: {len(walked):,} rows walked, {others.done.total():,} changes meanwhile"),
    ):
        while cursor or not pages:
            rows, cursor = await fetch(cursor)
            walked += rows
            pages += 1
    told.broken += [f"{how}: {wrong}" for wrong in others.wrong(walked)]
    told.figures.update({f"{how}: pages": pages, f"{how}: rows walked": len(walked)})
    told.figures.update({f"{how}: {name} meanwhile": others.done[name] for name in KINDS})
    told.figures[f"{how}: first, middle, last page"] = ", ".join(f"{cost:.2f} ms" for cost in costs.values())
    told.figures[f"{how}: a later page costs at most, in first pages"] = ratio
    if scenario.share >= 1 and ratio > MOST:
        told.broken.append(f"{how}: a page costs {ratio} times the first")
    return list(costs)


async def _costs(fetch: Fetch, pages: int, repeated: int) -> dict[str, float]:
    """Milliseconds of the first page, the middle and the last, by cursor; each the median of many, taken in turn."""
    cursors = [""]
    while len(cursors) < pages:
        _, cursor = await fetch(cursors[-1])
        cursors.append(cursor)
    times: dict[str, list[float]] = {cursor: [] for cursor in (cursors[0], cursors[pages // 2], cursors[-1])}
    for _ in range(repeated):
        for cursor, taken in times.items():
            began = time.perf_counter()
            rows, _ = await fetch(cursor)
            taken.append(1000 * (time.perf_counter() - began))
            assert len(rows) == LIMIT
    return {cursor: median(taken) for cursor, taken in times.items()}


def _in_process(documents: Documents[Any]) -> Fetch:
    async def fetch(cursor: str) -> tuple[list[Position], str]:
        page = await documents.page(PATIENT, LIMIT, cursor)
        return [Position(item.content.date, item.key) for item in page.items], page.next_cursor

    return fetch


def _over_rest(http: aiohttp.ClientSession, url: str) -> Fetch:
    async def fetch(cursor: str) -> tuple[list[Position], str]:
        query = {"limit": str(LIMIT), **({"cursor": cursor} if cursor else {})}
        page = None
        while page is None:
            async with http.get(f"{url}/records/{PATIENT}", params=query) as response:
                if response.status not in {503, 504}:  # else it is too busy: to read again harms nothing
                    response.raise_for_status()
                    page = await response.json()
        return [Position(item["date"], item["record_id"]) for item in page["records"]], page["next_cursor"]

    return fetch
