"""A service whose database is gone says so to its probes, and takes it back."""

from hosting.watch import watching
from mesh.server import Health
from storage.database import Database
from storage.failures import BUSY, DOWN, unavailable
from tests.databases import RECORDS, migrated
from tests.fakes.waiting import until


class Faulty(Database):
    """A database that fails as it is told to."""

    code, checked = "", 0

    async def check(self, patience: float = 1.0) -> None:
        self.checked += 1
        if self.code:
            raise unavailable(self.code)
        await super().check(patience)


async def test_health_follows_the_database_both_ways(address: str) -> None:
    """Callers go to another replica meanwhile, and come back without a restart."""
    await migrated(address, RECORDS)
    health = Health()
    async with Faulty(address) as database, watching(database, health, every=0.01):
        database.code = DOWN
        await until(lambda: not health.serving)
        database.code = ""
        await until(lambda: health.serving)


async def test_a_busy_database_is_slow_and_not_gone(address: str) -> None:
    """Every replica has the same one: all would leave at once."""
    await migrated(address, RECORDS)
    health = Health()
    async with Faulty(address) as database, watching(database, health, every=0.01):
        database.code = BUSY
        await until(lambda: database.checked > 2)
        assert health.serving
