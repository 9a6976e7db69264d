"""The databases and servers that these tests run on."""

from collections.abc import AsyncIterator

import pytest

import svc_prescriptions.wiring
import svc_records.wiring
from storage.database import Database
from tests.databases import PRESCRIPTIONS, RECORDS, address, dialect, mariadb_address, migrated, server, sqlite_address
from tests.integration.services.serving import Client, serving

__all__ = ["address", "dialect", "mariadb_address", "server", "sqlite_address"]


@pytest.fixture
async def records(address: str) -> AsyncIterator[Client]:
    await migrated(address, RECORDS)
    async with (
        Database(address) as database,
        serving(svc_records.wiring.hosted(), "PatientRecordsService", database) as client,
    ):
        yield client


@pytest.fixture
async def prescriptions(address: str) -> AsyncIterator[Client]:
    await migrated(address, PRESCRIPTIONS)
    async with (
        Database(address) as database,
        serving(svc_prescriptions.wiring.hosted(), "PrescriptionManagementService", database) as client,
    ):
        yield client
