"""The databases and the clinic that these tests run on."""

from tests.databases import dialect, mariadb_address, server
from tests.integration.caremesh.stopped import clinic, kept

__all__ = ["clinic", "dialect", "kept", "mariadb_address", "server"]
