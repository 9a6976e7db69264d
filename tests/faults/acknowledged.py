"""Clients write while processes die at seeded moments; at the end the store is held against what they were told.

`python -m tests.faults.acknowledged --writes 50000 --kill-every 300 --seed 1` runs it by hand.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.faults.checker import Finding, Histories, Listed, Place, Version, check
from tests.faults.clients import Client, Log, session
from tests.stack import Stack

CLIENTS = 8
HOUSE = Path(__file__).parents[2]
PLANTED = Path(__file__).with_name("planted")


@dataclass(frozen=True)
class Told:
    """What a run found: broken promises, acknowledged writes, kills by moment, outcomes by name."""

    findings: Sequence[Finding]
    acknowledged: int
    kills: Mapping[str, int]
    outcomes: Mapping[str, int]


def run(folder: Path, *, writes: int, kill_every: int, seed: int, settings: Mapping[str, str] | None = None) -> Told:
    """One run in a folder of its own.

    Args:
        folder: for databases, logs and the list of kills.
        writes: so many must be acknowledged.
        kill_every: a process dies about once in so many writes of its own.
        seed: of what clients do and of when processes die.
        settings: of all processes, besides.
    """
    planted = {
        "PYTHONPATH": f"{PLANTED}:{HOUSE}",
        "CAREMESH_TEST_KILLS": str(folder),
        "CAREMESH_TEST_SEED": str(seed),
        "CAREMESH_TEST_KILL_EVERY": str(kill_every),
        "CAREMESH_LOG_LEVEL": "warning",
    }
    stack = Stack(folder, replicas=2, gateways=2, settings={**planted, **(settings or {})})
    try:
        return asyncio.run(_run(stack, folder, writes, seed))
    finally:
        stack.__exit__(None, None, None)


async def _run(stack: Stack, folder: Path, writes: int, seed: int) -> Told:
    for process in stack.processes.values():
        process.start()
    keeping = asyncio.create_task(_keep(stack))
    log = Log()
    try:
        await asyncio.to_thread(stack.wait_until_ready)
        async with session() as http:
            clients = [Client(number, stack.urls, seed, log, http) for number in range(CLIENTS)]
            telling = asyncio.create_task(_tell(log, writes, folder))
            await asyncio.gather(*(client.run(writes) for client in clients))
            telling.cancel()
            (folder / "stop").touch()
            await asyncio.to_thread(stack.wait_until_ready)
            histories, listed = await _stored(http, stack.url, [one for each in clients for one in each.patients], log)
    finally:
        keeping.cancel()
    kills = Counter(line.split("\t")[1] for line in _lines(folder / "kills"))
    outcomes = Counter(operation.outcome for operation in log.operations)
    return Told(check(log.operations, histories, listed), log.acknowledged, kills, outcomes)


async def _keep(stack: Stack) -> None:
    while True:
        for process in stack.processes.values():
            if process.running and process.running.poll() is not None:
                process.start()
        await asyncio.sleep(0.1)


async def _tell(log: Log, writes: int, folder: Path) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(5)
        rate = log.acknowledged / (time.monotonic() - began)
        kills = len(_lines(folder / "kills"))
        print(f"{log.acknowledged:,} of {writes:,} acknowledged, {rate:.0f}/s, {kills} kills", flush=True)


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def _stored(http: aiohttp.ClientSession, url: str, patients: Sequence[int], log: Log) -> tuple[Histories, Listed]:
    histories: dict[Place, list[Version]] = {}
    listed: dict[Place, int] = {}
    owners = {operation.place: 0 for operation in log.operations if operation.place[1]}
    for collection in ("records", "prescriptions"):
        for patient in patients:
            async for item in _items(http, f"{url}/patients/{patient}/{collection}", collection):
                place = (collection, item[f"{collection[:-1]}_id"])
                if place in listed:
                    listed[place] = -1  # shown twice
                listed.setdefault(place, item["version"])
                owners[place] = patient
    for place, patient in owners.items():
        histories[place] = await _history(http, url, place, [patient] if patient else patients)
    return histories, listed


async def _history(http: aiohttp.ClientSession, url: str, place: Place, patients: Sequence[int]) -> list[Version]:
    collection, number = place
    for patient in patients:
        path = f"{url}/patients/{patient}/{collection}/{number}/history"
        found = [
            Version(item["version"], _mark(collection, item), item["deleted"])
            async for item in _items(http, path, "versions")
        ]
        if found:
            return found[::-1]
    return []


def _mark(collection: str, item: Mapping[str, object]) -> str:
    if collection == "records":
        return str(item["record_text"])
    medications = item["medications"]
    assert isinstance(medications, list)
    return str(medications[0]["medication_name"])


async def _items(http: aiohttp.ClientSession, path: str, name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    cursor = ""
    while True:
        query = {"limit": "200", **({"cursor": cursor} if cursor else {})}
        async with http.get(path, params=query) as response:
            if response.status == 404:
                return
            response.raise_for_status()
            page = await response.json()
        for item in page[name]:
            yield item
        cursor = page["next_cursor"]
        if not cursor:
            return


def main() -> int:
    """Runs it by hand. Exit code 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writes", type=int, default=50_000)
    parser.add_argument("--kill-every", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="caremesh-faults-"))
    told = run(folder, writes=arguments.writes, kill_every=arguments.kill_every, seed=arguments.seed)
    print(f"seed {arguments.seed}: {told.acknowledged:,} acknowledged; outcomes {dict(told.outcomes)}")
    print("kills: " + ", ".join(f"{moment} {count}" for moment, count in sorted(told.kills.items())))
    for finding in told.findings[:1]:
        print(f"BROKEN {finding.check}: {finding.told}\n  " + "\n  ".join(finding.witness))
    print(f"{len(told.findings)} promises broken; data and logs in {folder}" if told.findings else "every promise kept")
    if not told.findings:
        shutil.rmtree(folder)
    return bool(told.findings)


if __name__ == "__main__":
    sys.exit(main())
