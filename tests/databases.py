"""Databases for tests. Every data test takes its database from here, so that another dialect is one more parameter."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import svc_prescriptions.repository
import svc_prescriptions.wiring
import svc_records.repository
import svc_records.wiring
from storage.database import Database
from storage.documents import Documents
from storage.migrations import migrate
from storage.shape import Shape
from svc_prescriptions.domain import Medication, PrescriptionContent
from svc_records.domain import RecordContent
from tests.fakes.mariadb import MariaDB, mariadb

DIALECTS = ("sqlite", "mariadb")
ON_SQLITE = pytest.mark.parametrize("dialect", ["sqlite"])
ON_MARIADB = pytest.mark.parametrize("dialect", ["mariadb"])


@dataclass(frozen=True)
class Kind:
    """One kind of document: its shape, its schema, and how to make one of it."""

    name: str
    shape: Shape[Any]
    migrations: Path

    def content(self, patient_id: int = 7, *, day: str = "2024-02-29", words: str = "x", source_id: str = "") -> Any:
        if self is RECORDS:
            return RecordContent(
                patient_id=patient_id, doctor_id=3, record_text=words, date=day, category="note", source_id=source_id
            )
        return PrescriptionContent(
            patient_id=patient_id,
            doctor_id=3,
            medications=(Medication(medication_name=words),),
            written_on=day,
            status="active",
            source_id=source_id,
        )

    def words(self, content: Any) -> str:
        """The text that `content` was made with."""
        told = content.record_text if self is RECORDS else content.medications[0].medication_name
        return str(told)


RECORDS = Kind("records", svc_records.repository.SHAPE, svc_records.wiring.MIGRATIONS)
PRESCRIPTIONS = Kind("prescriptions", svc_prescriptions.repository.SHAPE, svc_prescriptions.wiring.MIGRATIONS)


@pytest.fixture(scope="session")
def server() -> Iterator[MariaDB]:
    """A MariaDB server, one for all tests of a worker."""
    with mariadb() as running:
        yield running


@pytest.fixture
def sqlite_address(tmp_path: Path) -> str:
    """Where an empty SQLite database may be made."""
    return f"sqlite:///{tmp_path}/a clinic's 100%.db"


@pytest.fixture
def mariadb_address(server: MariaDB) -> Iterator[str]:
    """An empty database on MariaDB."""
    with server.database() as made:
        yield made


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    """Every data test runs on each, unless it says otherwise: `@ON_SQLITE`, `@ON_MARIADB`."""
    return str(request.param)


@pytest.fixture
def address(request: pytest.FixtureRequest, dialect: str) -> str:
    """Where an empty database may be made."""
    return str(request.getfixturevalue(f"{dialect}_address"))


@pytest.fixture(params=[RECORDS, PRESCRIPTIONS], ids=["records", "prescriptions"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Every rule of storage holds for both services."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture
async def database(address: str, kind: Kind) -> AsyncIterator[Database]:
    """An open database with the schema of `kind`."""
    await migrated(address, kind)
    async with Database(address) as opened:
        yield opened


@pytest.fixture
def documents(database: Database, kind: Kind) -> Documents[Any]:
    return Documents(database, kind.shape)


async def migrated(address: str, kind: Kind, patience: float = 60) -> None:
    """Makes the schema, from a running loop."""
    await asyncio.to_thread(migrate, address, kind.migrations, patience)
