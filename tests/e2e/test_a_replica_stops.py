"""A replica is stopped while clients write: what each of them is told is true."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import aiohttp

from tests.fakes.waiting import until
from tests.stack import Stack

WRITERS = 16
BODY = {"patient_id": 7, "doctor_id": 3, "record_text": "Mild asthma.", "date": "2025-04-14"}
PROBLEM = "application/problem+json"


async def test_every_write_is_acknowledged_refused_or_of_unknown_outcome_and_none_twice(tmp_path: Path) -> None:
    """A bare 500 for a write that was kept makes its client write it again."""
    told: list[tuple[int, str]] = []

    async def writes(http: aiohttp.ClientSession, url: str, number: int) -> None:
        for count in range(25):
            body = {**BODY, "source_id": f"{number}-{count}"}
            async with http.post(f"{url}/records", json=body) as answer:
                told.append((answer.status, answer.content_type))

    with Stack(tmp_path, replicas=2) as stack:
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
            for number in range(WRITERS):
                group.create_task(writes(http, stack.url, number))
            await until(lambda: len(told) > 50)
            await stand_still(stack, 0.9)
            status, _ = await asyncio.to_thread(stack.ask, "GET", "/records/7")
            assert status != 503, "a breaker opened, though all replicas are there"
            await asyncio.to_thread(stack.processes["records.1"].send, signal.SIGTERM)
        rows = await asyncio.to_thread(stored, stack)
    acknowledged = sum(status == 201 for status, _ in told)
    assert len(told) == WRITERS * 25
    assert {status for status, _ in told} <= {201, 503, 504}
    assert {kind for status, kind in told if status != 201} <= {PROBLEM}
    assert acknowledged <= rows <= acknowledged + sum(status == 504 for status, _ in told)


async def stand_still(stack: Stack, seconds: float) -> None:
    """What a busy machine does to all replicas at once now and then."""
    for number, pause in ((signal.SIGSTOP, seconds), (signal.SIGCONT, 0.0)):
        for replica in ("records.1", "records.2"):
            stack.processes[replica].send(number)
        await asyncio.sleep(pause)


def stored(stack: Stack) -> int:
    rows, cursor = 0, ""
    while True:
        page = read(stack, f"/records/7?limit=200{f'&cursor={cursor}' if cursor else ''}")
        rows, cursor = rows + len(page["records"]), page["next_cursor"]
        if not cursor:
            return rows


def read(stack: Stack, path: str) -> Any:
    status, body = stack.ask("GET", path)
    assert status == 200, body
    return body
