"""The checks can fail: eleven planted defects, and for each the check that has to find it.

Each workload is done as the house is built, where nothing may be found, and with the defect, where the check that is
named beside it must find something. Patches go in at run time.
"""

import asyncio
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.migrations import migrate
from tests.databases import RECORDS
from tests.faults import patches
from tests.faults.fsync import CHECK as SYNCED
from tests.faults.patches import Patch
from tests.faults.report import Report, Scenario
from tests.faults.workloads import (
    AGAIN,
    ONE_TRY,
    WALK,
    Workload,
    address,
    dying_process,
    migrated_twice,
    one_client,
    page_walk,
    two_writers,
    under_strace,
)


@dataclass(frozen=True)
class Defect:
    """What is wrong, what shows it, and the check that finds it."""

    patch: Patch
    workload: Workload
    check: str


DEFECTS: Mapping[str, Defect] = {
    "no key table": Defect(patches.no_key_table, one_client, "nothing twice"),
    "key outside the transaction": Defect(patches.key_outside_the_transaction, dying_process, "nothing twice"),
    "version check dropped": Defect(patches.version_check_dropped, one_client, "the expected version was replaced"),
    "history row outside the transaction": Defect(
        patches.history_outside_the_transaction, dying_process, "history without gaps"
    ),
    "BEGIN instead of BEGIN IMMEDIATE": Defect(patches.begin_takes_no_lock, two_writers, ONE_TRY),
    "commit ignored": Defect(patches.commit_ignored, one_client, "acknowledged write present"),
    "synchronous=OFF": Defect(patches.synchronous_off, under_strace, SYNCED),
    "replay without the stored answer": Defect(patches.answer_not_stored, one_client, "one answer a key"),
    "delete that removes the row": Defect(patches.delete_removes, one_client, "acknowledged write present"),
    "migration run twice": Defect(patches.migration_not_guarded, migrated_twice, AGAIN),
    "cursor by offset": Defect(patches.cursor_by_offset, page_walk, WALK),
}


def run(scenario: Scenario) -> Report:
    """Every defect, whatever the share."""
    figures, broken = dict[str, str](), list[str]()
    for number, (name, defect) in enumerate(DEFECTS.items()):
        scenario.tell(name)
        sound, defective = found(defect, scenario.folder / str(number))
        figures[name] = f"found by: {', '.join(sorted(defective)) or 'nothing'}"
        broken += [f"{name}: {check!r} finds something where nothing is wrong" for check in sound]
        broken += [] if defect.check in defective else [f"{name}: {defect.check!r} finds nothing"]
    return Report(figures, broken)


def found(defect: Defect, folder: Path) -> tuple[set[str], set[str]]:
    """The checks that find something in a defect's workload: without the defect, and with it."""
    sound, defective = folder / "sound", folder / "defective"
    for each in (sound, defective):
        each.mkdir(parents=True)
        migrate(address(each), RECORDS.migrations)
    without = asyncio.run(defect.workload(sound, ""))
    with _planted(defect.patch):
        return without, asyncio.run(defect.workload(defective, defect.patch.name))


@contextmanager
def _planted(patch: Patch) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patching:
        set_attribute: Callable[..., None] = patching.setattr
        patch.plant(importlib.import_module(patch.module), set_attribute)
        yield
