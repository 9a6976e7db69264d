"""The databases that these tests run on."""

from tests.databases import dialect, server

__all__ = ["dialect", "server"]
