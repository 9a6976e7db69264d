"""A stopped clinic with something in both of its databases, and a backup of it."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from caremesh.main import main
from storage.database import Database
from storage.documents import Documents
from tests.databases import PRESCRIPTIONS, RECORDS, Kind, migrated

KINDS = {"records": RECORDS, "prescriptions": PRESCRIPTIONS}
Everything = dict[str, dict[str, list[Any]]]


@dataclass
class Clinic:
    """A stopped clinic: its configuration and the addresses of its databases."""

    place: Path
    addresses: Mapping[str, str]

    def run(self, *arguments: str) -> int:
        """A `caremesh` command on it; gives its exit code."""
        return main([*arguments, "--config", str(self.place / "caremesh.toml")])

    def write(self, words: str, count: int = 3) -> None:
        """Adds documents to both."""
        for name, kind in KINDS.items():
            asyncio.run(_write(self.addresses[name], kind, words, count))

    def everything(self) -> Everything:
        """All rows of all tables of both."""
        return {name: asyncio.run(_everything(self.addresses[name], kind)) for name, kind in KINDS.items()}


async def _write(address: str, kind: Kind, words: str, count: int) -> None:
    await migrated(address, kind)
    async with Database(address) as database:
        for _ in range(count):
            await Documents(database, kind.shape).add(kind.content(words=words), "local")


async def _everything(address: str, kind: Kind) -> dict[str, list[Any]]:
    async def work(connection: AsyncConnection) -> dict[str, list[Any]]:
        tables = kind.shape.table.metadata.sorted_tables
        return {table.name: sorted((await connection.execute(select(table))).all()) for table in tables}

    async with Database(address) as database:
        return await database.read(work)


@pytest.fixture
def clinic(request: pytest.FixtureRequest, dialect: str, tmp_path: Path) -> Iterator[Clinic]:
    """With documents in both databases; SQLite's lie where they lie if nobody says anything."""
    text, addresses = "", {name: f"sqlite:///{tmp_path}/var/{name}.db" for name in KINDS}
    with ExitStack() as made:
        if dialect == "mariadb":
            server = request.getfixturevalue("server")
            addresses = {name: made.enter_context(server.database()) for name in KINDS}
        for kind in ("registry", "records", "prescriptions", "gateway"):
            text += f"[{kind}]\ncount = 1\nport = 0\n"
            if dialect == "mariadb" and kind in KINDS:
                text += f'[{kind}.environment]\nCAREMESH_DATABASE = "{addresses[kind]}"\n'
        (tmp_path / "caremesh.toml").write_text(text)
        there = Clinic(tmp_path, addresses)
        there.write("before")
        yield there


@pytest.fixture
def kept(clinic: Clinic) -> Path:
    """A backup of it."""
    assert clinic.run("backup", str(clinic.place / "kept")) == 0
    return clinic.place / "kept"
