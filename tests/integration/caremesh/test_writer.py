"""The writer against a gateway that is busy, loses answers or goes away: every row once, and told as it was."""

import asyncio
import time
from collections.abc import Iterator
from random import Random

import pytest
from aiohttp import web

from caremesh.clinic.people import clinic
from caremesh.intake.report import Outcome, Report
from caremesh.intake.writer import Away, Writer
from caremesh.rows import Row
from tests.fakes.clinic import FakeClinic, Trouble, serving

ROWS = clinic(seed=1, patients=10)


async def written(fake: FakeClinic, rows: list[Row] = ROWS, **options: object) -> Report:
    report = Report(len(rows))
    async with serving(fake) as url:
        await Writer(url, report, asyncio.Event(), rng=Random(1), **options).write(rows)  # type: ignore[arg-type]
    return report


def every(number: int, status: int, **headers: str) -> Trouble:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda asked: web.json_response({}, status=status, headers=named) if asked % number == 0 else None


async def test_all_rows_are_written_as_they_are_and_a_second_run_adds_none() -> None:
    """Running again is how an import is resumed."""
    fake = FakeClinic()
    first = await written(fake)
    second = await written(fake)
    assert first.of(Outcome.ADDED) == len(ROWS) == second.of(Outcome.PRESENT)
    assert [fake.rows[str(row.body["source_id"])] for row in ROWS] == [
        {"collection": row.collection, **row.body} for row in ROWS
    ]


async def test_a_busy_gateway_is_asked_again_and_nothing_is_written_twice() -> None:
    """503 and 504 are what a mesh under stress answers; neither may cost a row."""
    for status in (503, 504):
        fake = FakeClinic(trouble=every(3, status))
        assert (await written(fake)).of(Outcome.ADDED) == len(ROWS)
        assert len(fake.rows) == len(ROWS)


async def test_a_write_whose_answer_was_lost_is_found_by_its_source_id() -> None:
    """The row is there once, and the report does not claim to know which attempt wrote it."""
    fake = FakeClinic(lose=lambda asked: asked % 5 == 0)
    report = await written(fake)
    assert report.clean
    assert len(fake.rows) == len(ROWS)
    assert report.of(Outcome.FOUND) > 0
    assert report.of(Outcome.ADDED) + report.of(Outcome.FOUND) == len(ROWS)


async def test_retry_after_is_waited_for() -> None:
    """A gateway that says when to come back is not asked before."""
    fake = FakeClinic(trouble=lambda asked: every(1, 503, Retry_After="1")(asked) if asked == 1 else None)
    began = time.monotonic()
    await written(fake, ROWS[:1])
    assert time.monotonic() - began >= 1.0


async def test_a_refused_row_is_told_by_place_and_reason_and_the_others_are_written() -> None:
    """One bad row is no reason to stop, and its text is nowhere in the report."""
    refusal = {"title": "Bad Request", "errors": [{"field": "date", "message": "must exist"}]}
    fake = FakeClinic(trouble=lambda asked: web.json_response(refusal, status=400) if asked == 4 else None)
    report = await written(fake, concurrency=1)
    assert (report.of(Outcome.REFUSED), report.of(Outcome.ADDED)) == (1, len(ROWS) - 1)
    assert report.lines()[-1] == f"not taken: 400 date must exist: {ROWS[3].where}"


async def test_no_more_requests_are_under_way_than_allowed() -> None:
    """Bounded concurrency is what keeps an import from being an attack."""
    fake = FakeClinic()
    await written(fake, concurrency=3)
    assert 1 < fake.most_at_once <= 3


async def test_a_gateway_that_takes_nothing_any_more_ends_the_work() -> None:
    """After the patience it is over: an import must not hang for ever."""
    with pytest.raises(Away, match="503"):
        await written(FakeClinic(trouble=every(1, 503)), patience=0.3)


async def test_an_interrupted_run_finishes_what_is_under_way_and_the_next_one_does_the_rest() -> None:
    """Ctrl-C at any moment: what was counted is there, and the second run makes it exact."""
    fake, stop, report = FakeClinic(), asyncio.Event(), Report(len(ROWS))

    def interrupt() -> None:
        if report.done == 20:
            stop.set()

    async with serving(fake) as url:
        await Writer(url, report, stop, concurrency=4, progressed=interrupt).write(ROWS)
    assert 20 <= report.done == len(fake.rows) < 20 + 4
    rest = await written(fake)
    assert rest.of(Outcome.ADDED) == len(ROWS) - report.done
    assert len(fake.rows) == len(ROWS)


async def test_rows_are_taken_one_by_one_from_a_source_that_may_be_long() -> None:
    """No more rows are fetched than can be sent: a large source need not fit in memory."""
    fetched, fake = 0, FakeClinic()

    def source() -> Iterator[Row]:
        nonlocal fetched
        for row in ROWS:
            fetched += 1
            assert fetched <= fake.asked + 2
            yield row

    async with serving(fake) as url:
        await Writer(url, Report(len(ROWS)), asyncio.Event(), concurrency=2).write(source())
    assert fetched == len(ROWS)
