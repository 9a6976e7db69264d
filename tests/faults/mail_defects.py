"""The checks of mail can fail: five planted defects, and for each the check that has to find it.

One clinic does everything that shows them: a write dies between its commits, a worker dies with letters in hand, two
workers look at once, and a relay stores a letter and cuts the line before its 250.
"""

import asyncio
import importlib
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from mesh.clock import SystemClock
from mesh.decide.circuit import Circuit
from mesh.events import Events
from mesh.layers.breaker import Breaker
from observability.tracing import Tracing
from storage.documents import Documents
from storage.migrations import migrate
from svc_prescriptions.outbox import claims as claims_module
from svc_prescriptions.outbox.attempt import Attempts
from svc_prescriptions.outbox.box import Outbox
from svc_prescriptions.outbox.claims import Claims
from svc_prescriptions.outbox.letters import Letters
from svc_prescriptions.outbox.outcomes import Rules
from svc_prescriptions.outbox.worker import POLICY, Worker
from svc_prescriptions.relay import Relay, relay_address
from svc_prescriptions.repository import SHAPE
from tests.databases import PRESCRIPTIONS
from tests.fakes.relay import FakeRelay, Fault, How, Planned, Point
from tests.fakes.waiting import until
from tests.faults import mail_patches
from tests.faults.direct import Killed, Mortal
from tests.faults.outbox import check, rows
from tests.faults.patches import Patch
from tests.faults.report import Report, Scenario

LEASE = timedelta(seconds=1)
RULES = Rules(give_up=timedelta(hours=1), repeat_after=timedelta(seconds=1))
LETTERS = 6
LONGEST = 15.0  # seconds until every letter must have ended

DEFECTS: Mapping[str, tuple[Patch, str]] = {
    "outbox outside the transaction": (mail_patches.outbox_outside_the_transaction, "none lost"),
    "lease that never lapses": (mail_patches.lease_never_lapses, "none lost"),
    "lease not taken": (mail_patches.lease_not_taken, "twice only in doubt"),
    "uncertain taken for failed": (mail_patches.uncertain_taken_for_failed, "failed means not arrived"),
    "Message-ID random": (mail_patches.message_id_random, "nothing foreign"),
}
"""The patch, and the name of the check that finds it."""


def run(scenario: Scenario) -> Report:
    """Every defect, whatever the share."""
    sound = found(None, _made(scenario.folder / "sound"))
    figures, broken = dict[str, str](), [f"{check!r} finds something where nothing is wrong" for check in sound]
    for name, (patch, wanted) in DEFECTS.items():
        scenario.tell(name)
        defective = found(patch, _made(scenario.folder / patch.name))
        figures[name] = f"found by: {', '.join(sorted(defective)) or 'nothing'}"
        broken += [] if wanted in defective else [f"{name}: {wanted!r} finds nothing"]
    return Report(figures, broken)


def found(patch: Patch | None, folder: Path) -> set[str]:
    """The checks that find something in a clinic with this defect, or with none."""
    with pytest.MonkeyPatch.context() as patching:
        put: Any = patching.setattr
        put(claims_module, "LEASE", LEASE)
        if patch:
            patch.plant(importlib.import_module(patch.module), put)
        return asyncio.run(_clinic(folder))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def _clinic(folder: Path) -> set[str]:
    address = f"sqlite:///{folder}/prescriptions.db"
    await asyncio.to_thread(migrate, address, PRESCRIPTIONS.migrations)
    cut = Fault(Point.DOT, How.CUT, keeps=True)
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(FakeRelay(Planned(cut)))
        first, second = [await stack.enter_async_context(Mortal(address)) for _ in range(2)]
        written = await _written(first)
        await _dies_with_letters(first)
        stop = asyncio.Event()
        workers = [asyncio.create_task(_worker(database, relay).run(stop)) for database in (first, second)]
        with suppress(TimeoutError):
            await until(lambda: not any(row.open for row in rows(folder)), LONGEST)
        stop.set()
        await asyncio.gather(*workers)
        arrived = Counter((letter.message_id, letter.recipients) for letter in relay.taken)
    return {told.partition(":")[0] for told in check(rows(folder), arrived, written)}


async def _written(database: Mortal) -> list[int]:
    """Writes prescriptions; the process dies after the last one's first commit. Returns those that are stored."""
    documents = Documents(database, SHAPE, follow=Outbox("localhost").intend)
    for number in range(LETTERS):
        database.commits_left = 1 if number == LETTERS - 1 else 0
        content = replace(PRESCRIPTIONS.content(number + 1), mail_to=f"{number}@example.org")
        with suppress(Killed):
            await documents.add(content, "local")
    return list(range(1, LETTERS + 1))


async def _dies_with_letters(database: Mortal) -> None:
    """A worker takes letters in hand and is gone, without a word to anybody."""
    claims = _claims(database)
    keys = await claims.due(2)
    await claims.take(keys, 2)


def _claims(database: Mortal) -> Claims:
    return Claims(database, uuid4().hex, RULES, rng=Random(1))


def _worker(database: Mortal, relay: FakeRelay) -> Worker:
    clock, rng, events = SystemClock(), Random(1), Events()
    claims, tracing = _claims(database), Tracing("prescriptions", "test")
    attempts = Attempts(claims, Letters(database, "prescriptions@localhost").compose, tracing, clock)
    link = Relay(relay_address(relay.address), "prescriptions@localhost").link
    breaker = Breaker("relay", relay.address, Circuit(POLICY, rng), clock, events)
    return Worker(claims, attempts, link, breaker, asyncio.Event(), clock, rng)
