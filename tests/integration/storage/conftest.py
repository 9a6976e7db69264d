"""The databases that these tests run on."""

from tests.databases import address, database, dialect, documents, kind, mariadb_address, server, sqlite_address

__all__ = ["address", "database", "dialect", "documents", "kind", "mariadb_address", "server", "sqlite_address"]
