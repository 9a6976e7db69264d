"""The databases that these tests run on."""

from tests.databases import address, database, documents, kind

__all__ = ["address", "database", "documents", "kind"]
