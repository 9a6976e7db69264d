"""A tenth of what `make faults` does on a full disk, and what a service says that cannot even start on one."""

from pathlib import Path

import pytest

from storage.database import Database
from storage.errors import Unavailable
from tests.databases import Kind, kind, migrated
from tests.faults import disk
from tests.faults.report import Scenario, seed
from tests.faults.small import small_disk

__all__ = ["kind"]


@pytest.mark.timeout(600)
def test_a_full_disk_refuses_writes_whole_and_reads_on_and_writes_when_there_is_room(tmp_path: Path) -> None:
    """Disks fill up at night: nothing that was acknowledged may be lost, and nobody need get up for a restart."""
    report = disk.run(Scenario(tmp_path, seed(), share=0.1))
    assert not report.broken, report.broken[0]
    assert {name for name, count in report.figures.items() if count} == {
        "acknowledged",
        "checkpoints that could not end",
        "documents looked at when there is room again",
        "documents looked at while the disk is full",
        "logs that could not grow",
        "reads among refused writes",
        "refused",
        "rounds",
        "started on a full disk",
    }


async def test_a_database_that_cannot_be_opened_for_want_of_room_says_so(tmp_path: Path, kind: Kind) -> None:
    """SQLite calls it a disk I/O error; whoever reads the log would go and look for a broken disk."""
    with small_disk(tmp_path / "disk", 1024 * 1024) as small:
        address = f"sqlite:///{small.folder}/clinic.db"
        await migrated(address, kind)
        with small.filled(0), pytest.raises(Unavailable, match="no room left") as caught:
            async with Database(address):
                pass
        assert caught.value.code == "DATABASE_FULL"
        async with Database(address) as database:
            await database.check()
