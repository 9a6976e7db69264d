"""A database with prescriptions, their outbox, and workers that share it."""

from collections.abc import AsyncIterator

import pytest

from storage.database import Database
from tests.databases import PRESCRIPTIONS, address, dialect, mariadb_address, migrated, server, sqlite_address
from tests.integration.outbox.clinic import Clinic

__all__ = ["address", "dialect", "mariadb_address", "server", "sqlite_address"]


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    await migrated(address, PRESCRIPTIONS)
    async with Database(address) as opened:
        yield opened


@pytest.fixture
def clinic(database: Database) -> Clinic:
    return Clinic(database)
