"""Every answer says where its time went: whether what it says is all of it."""

import asyncio
from collections.abc import Mapping
from time import perf_counter

from benchmarks.clinic import Answer, Client, clinic
from benchmarks.figures import percentile
from benchmarks.report import Figures, at_least
from benchmarks.row import Row
from benchmarks.scale import FULL, Scale
from benchmarks.ways import Entered

CALLERS, PATIENTS = 4, 50
COVERED = 0.9
ROUNDING = 0.001  # milliseconds of each part
KEPT = "receipts that cover 90 % or more and never more than all, %"
HAD = "answers with a receipt, %"
PARTS = ("gateway", "cache", "attempts", "queue", "database", "service")
RECORD = {"doctor_id": 3, "record_text": "Well.", "date": "2026-03-17", "category": "note"}


async def receipts(scale: Scale, entered: Entered) -> Figures:  # noqa: ARG001  # there is one way
    """One run: reads past the cache."""
    reads = max(400, scale.size(FULL) // 5)
    async with clinic() as address:
        clients = [await Client.to(address) for _ in range(CALLERS)]
        try:
            for patient_id in range(1, PATIENTS + 1):
                made = await clients[0].ask("POST", "/records", RECORD | {"patient_id": patient_id})
                assert made.status == 201, made  # noqa: PLR2004
            seen = await asyncio.gather(*(_reads(client, reads // CALLERS, scale) for client in clients))
        finally:
            for client in clients:
                client.close()
    told = [(_parts(answer), took) for each in seen for answer, took in each]
    there = [(parts, took) for parts, took in told if parts]
    return {
        "calls": len(told),
        HAD: 100.0 * len(there) / len(told),
        KEPT: 100.0 * sum(_kept(parts, took) for parts, took in there) / max(1, len(there)),
        **{f"{name}, p50, ms": percentile([parts.get(name, 0.0) for parts, _ in there], 0.5) for name in PARTS},
        "total, p50, ms": percentile([parts["total"] for parts, _ in there], 0.5),
        "as the client saw it, p50, ms": percentile([took for _, took in there], 0.5),
    }


async def _reads(client: Client, count: int, scale: Scale) -> list[tuple[Answer, float]]:
    seen, rng = list[tuple[Answer, float]](), scale.rng("patients")
    for _ in range(count):
        begun = perf_counter()
        answer = await client.ask("GET", f"/records/{rng.randint(1, PATIENTS)}", Cache_Control="no-cache")
        seen.append((answer, (perf_counter() - begun) * 1_000))
    return seen


def _parts(answer: Answer) -> Mapping[str, float]:
    said = answer.headers.get("server-timing", "")
    pairs = (each.strip().partition(";dur=") for each in said.split(",") if each)
    return {name: float(value) for name, _, value in pairs}


def _kept(parts: Mapping[str, float], took: float) -> bool:
    """Against what the gateway measured, and never more than what the client did."""
    covered = sum(parts.get(name, 0.0) for name in PARTS)
    most = min(parts["total"], took) + ROUNDING * len(PARTS)
    return COVERED * parts["total"] <= covered <= most


RECEIPTS = Row(
    "receipt",
    "reads past the cache, each with a receipt of where its time went",
    receipts,
    (at_least(HAD, 100), at_least(KEPT, 99)),
    ways=("mesh",),
)
