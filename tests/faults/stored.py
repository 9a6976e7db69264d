"""What the clinic shows at the end: every document of some patients, and every version of it, over REST."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aiohttp

from tests.faults.checker import Histories, Listed, Operation, Place, Version

COLLECTIONS = ("records", "prescriptions")
AT_ONCE = 8
SHOWN_TWICE = -1


async def stored(
    http: aiohttp.ClientSession,
    url: str,
    patients: Sequence[int],
    operations: Sequence[Operation],
    at_once: int = AT_ONCE,
) -> tuple[Histories, Listed]:
    """Histories of all that lists show or that a client has ever heard of; and what the lists show.

    Args:
        http: asks.
        url: of a gateway.
        patients: whose documents the clients wrote.
        operations: what the clients know.
        at_once: histories that are asked for.
    """
    listed, owners = await _listed(http, url, patients)
    owners |= {operation.place: operation.patient for operation in operations if operation.place[1]}
    histories: dict[Place, list[Version]] = {}
    turns = asyncio.Semaphore(at_once)

    async def look(place: Place, owner: int) -> None:
        async with turns:
            histories[place] = await _history(http, url, place, owner)

    async with asyncio.TaskGroup() as looking:
        for place, owner in owners.items():
            looking.create_task(look(place, owner))
    return histories, listed


async def _listed(
    http: aiohttp.ClientSession, url: str, patients: Sequence[int]
) -> tuple[dict[Place, int], dict[Place, int]]:
    listed: dict[Place, int] = {}
    owners: dict[Place, int] = {}
    for collection in COLLECTIONS:
        for patient in patients:
            async for item in _items(http, f"{url}/patients/{patient}/{collection}", collection):
                place = (collection, item[f"{collection[:-1]}_id"])
                listed[place] = SHOWN_TWICE if place in listed else item["version"]
                owners[place] = patient
    return listed, owners


async def _history(http: aiohttp.ClientSession, url: str, place: Place, owner: int) -> list[Version]:
    collection, number = place
    path = f"{url}/patients/{owner}/{collection}/{number}/history"
    found = [
        Version(item["version"], mark_of(collection, item), item["deleted"])
        async for item in _items(http, path, "versions")
    ]
    return found[::-1]


def mark_of(collection: str, item: Mapping[str, Any]) -> str:
    """The text that tells whose write a version is."""
    return str(item["record_text"] if collection == "records" else item["medications"][0]["medication_name"])


async def _items(http: aiohttp.ClientSession, path: str, name: str) -> AsyncIterator[Mapping[str, Any]]:
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
