"""How far the work is: a bar in a terminal, a line every few seconds in a pipe."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from caremesh.intake.report import Report
from caremesh.terminal import coloured, say

EVERY = 2.0  # seconds between two lines in a pipe


@contextlib.contextmanager
def progress(what: str, report: Report) -> Iterator[Callable[[], None]]:
    """Gives what to call after each row."""
    shown = _bar(what, report) if coloured(sys.stdout) else _lines(what, report)
    with shown as step:
        yield step


@contextlib.contextmanager
def _bar(what: str, report: Report) -> Iterator[Callable[[], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns) as bar:  # what was added and what not comes in the report: 80 columns have no room for it
        task = bar.add_task(what, total=report.total)
        yield lambda: bar.update(task, completed=report.done)


@contextlib.contextmanager
def _lines(what: str, report: Report) -> Iterator[Callable[[], None]]:
    began = told = time.monotonic()

    def step() -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= EVERY:
            told = now
            rate = report.done / (now - began)
            say(f"{what}: {report.done:,} of {report.total:,}, {rate:,.0f} a second; {report.summary()}")

    yield step
