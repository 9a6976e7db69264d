"""The database server that some of these tests run on."""

from tests.databases import server

__all__ = ["server"]
