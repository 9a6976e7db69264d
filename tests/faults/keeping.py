"""Starts again what dies, as a supervisor would, and knows who died how often and when."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.stack import Stack

HOUSE = Path(__file__).parents[2]
PLANTED = Path(__file__).with_name("planted")
PATIENCE = 600.0  # seconds until everything serves, though processes die in their migrations


def killing(folder: Path, seed: int, every: int) -> dict[str, str]:
    """Settings under which each process dies about once in `every` writes of its own; see planted/sitecustomize.py."""
    return {
        "PYTHONPATH": f"{PLANTED}:{HOUSE}",
        "CAREMESH_TEST_KILLS": str(folder),
        "CAREMESH_TEST_SEED": str(seed),
        "CAREMESH_TEST_KILL_EVERY": str(every),
        "CAREMESH_LOG_LEVEL": "warning",
    }


def kills(folder: Path) -> Counter[str]:
    """How many processes died, by moment."""
    return deaths(folder, "")


def killed(folder: Path, name: str, moment: str) -> None:
    """Notes that somebody was killed from outside."""
    with (folder / "kills").open("a") as file:
        file.write(f"{name}\t{moment}\n")


def deaths(folder: Path, kind: str) -> Counter[str]:
    """The same of one kind of process, such as "records"; "" for all."""
    file = folder / "kills"
    lines = file.read_text().splitlines() if file.exists() else []
    return Counter(line.split("\t")[1] for line in lines if line.startswith(kind))


async def calm(stack: Stack, folder: Path) -> None:
    """Returns once nobody dies any more and everything serves."""
    (folder / "stop").touch()
    await asyncio.to_thread(stack.wait_until_ready, PATIENCE)


@asynccontextmanager
async def kept_alive(stack: Stack) -> AsyncIterator[None]:
    """Starts all processes, and each again that ends; returns when everything serves. Kills them all at the end."""
    try:
        for process in stack.processes.values():
            process.start()
        keeping = asyncio.create_task(_keep(stack))
        try:
            await asyncio.to_thread(stack.wait_until_ready, PATIENCE)
            yield
        finally:
            keeping.cancel()
    finally:
        stack.__exit__(None, None, None)


async def _keep(stack: Stack) -> None:
    while True:
        for process in stack.processes.values():
            if process.running and process.running.poll() is not None:
                process.start()
        await asyncio.sleep(0.1)
