"""The databases that these tests run on."""

from collections.abc import Iterator

import pytest

from tests.databases import address, database, dialect, documents, kind, mariadb_address, server, sqlite_address
from tests.fakes.mariadb import MariaDB, mariadb

__all__ = ["address", "database", "dialect", "documents", "kind", "mariadb_address", "server", "sqlite_address"]


@pytest.fixture(scope="module")
def frail() -> Iterator[MariaDB]:
    """A server that these tests may end; no other test's."""
    with mariadb() as server:
        yield server


@pytest.fixture
def mortal(frail: MariaDB) -> Iterator[str]:
    """The address of a database on it."""
    with frail.database() as address:
        yield address
