"""A service's process: it migrates, serves, announces itself, and ends in order; or says why it does not start."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from mesh.call import Service, methods_of
from mesh.client import ServiceClient
from mesh.endpoints import Leases
from mesh.events import Events
from mesh.registry import RegistryService
from mesh.server import Health, Server
from protos.codec import Codec
from protos.generated.caremesh import v1 as pb
from protos.generated.google.protobuf import Empty
from protos.generated.levels import LEVELS
from storage.address import sqlite_file
from storage.database import Database
from storage.documents import Documents
from tests.databases import ON_MARIADB, ON_SQLITE, PRESCRIPTIONS, RECORDS
from tests.fakes.mariadb import PASSWORD, QUOTED, MariaDB
from tests.fakes.waiting import until

SERVICES: dict[str, tuple[str, type[Service]]] = {
    "svc_records": ("records", pb.PatientRecordsServiceBase),
    "svc_prescriptions": ("prescriptions", pb.PrescriptionManagementServiceBase),
}

KINDS = {"svc_records": RECORDS, "svc_prescriptions": PRESCRIPTIONS}


async def start(
    package: str, *arguments: str, address: str, registry: str = "", **settings: str
) -> asyncio.subprocess.Process:
    env = {"DATABASE": address, "REGISTRIES": registry, "PORT": "0"} | settings
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        package,
        *arguments,
        env=os.environ | {f"CAREMESH_{name}": value for name, value in env.items()},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """The exit code, and what was said on standard error."""
    async with asyncio.timeout(60):
        _, told = await process.communicate()
    return process.returncode, told.decode()


@asynccontextmanager
async def registry() -> AsyncIterator[str]:
    async with Server([RegistryService()], health=Health(), events=Events()) as server:
        yield server.address


@pytest.mark.parametrize("package", SERVICES)
async def test_two_replicas_on_one_database_serve_and_end_when_told(package: str, address: str) -> None:
    """Both start on an empty machine, whichever is first; SIGTERM ends them with code 0."""
    name, base = SERVICES[package]
    async with registry() as where:
        replicas = [await start(package, address=address, registry=where) for _ in range(2)]
        source, methods = Leases([where]), methods_of(base, LEVELS)
        async with ServiceClient(name, methods=methods, source=source, codec=Codec(), events=Events()) as client:
            await until(lambda: [one.probe for one in client.endpoints()] == ["serving"] * 2, seconds=60)
            assert (await client.call("CheckHealth", Empty(), timeout=5.0)).message.is_healthy
        for replica in replicas:
            replica.send_signal(signal.SIGTERM)
        assert [code for code, _ in [await ended(replica) for replica in replicas]] == [0, 0]


@pytest.mark.parametrize("package", SERVICES)
async def test_migrating_by_hand_makes_the_schema_and_ends(package: str, address: str) -> None:
    """For those who migrate before they roll out."""
    assert await ended(await start(package, "migrate", address=address)) == (0, "")
    count = text(f"SELECT count(*) FROM {SERVICES[package][0]}")
    async with Database(address) as database:
        assert (await database.read(lambda connection: connection.execute(count))).scalar_one() == 0


@pytest.mark.parametrize("package", SERVICES)
async def test_a_copy_is_taken_while_serving_and_put_back_once_stopped(
    package: str, address: str, tmp_path: Path
) -> None:
    """The drill: what was written is there again; over a running service nothing is put back."""
    name, base = SERVICES[package]
    file = str(tmp_path / "copy")
    async with registry() as where:
        replica = await start(package, address=address, registry=where)
        source, methods = Leases([where]), methods_of(base, LEVELS)
        async with ServiceClient(name, methods=methods, source=source, codec=Codec(), events=Events()) as client:
            await until(lambda: [one.probe for one in client.endpoints()] == ["serving"], seconds=60)
            assert await ended(await start(package, "backup", file, address=address)) == (0, "")
            code, told = await ended(await start(package, "restore", file, address=address))
            assert (code, "stop all" in told) == (1, True)
        replica.send_signal(signal.SIGTERM)
        assert (await ended(replica))[0] == 0
    assert await ended(await start(package, "restore", file, address=address)) == (0, "")
    async with Database(address) as database:
        await Documents(database, KINDS[package].shape).add(KINDS[package].content(), "local")
    code, told = await ended(await start(package, "restore", file, address=address))
    assert (code, "holds 2 rows" in told) == (1, True)  # a document and its version
    assert await ended(await start(package, "restore", "--replace", file, address=address)) == (0, "")
    code, told = await ended(await start(package, "backup", file, address=address))
    assert (code, "is there already" in told, "Traceback" in told) == (1, True, False)


@ON_SQLITE
async def test_a_migration_that_fails_is_explained_and_the_service_does_not_start(address: str) -> None:
    """An old schema under a new program would corrupt what is stored."""
    sqlite_file(address).write_bytes(b"a letter to my doctor\n" * 100)
    code, told = await ended(await start("svc_records", address=address))
    assert code == 1
    assert "file is not a database" in told
    assert "does not start" in told
    assert "Traceback" not in told


@ON_MARIADB
async def test_a_server_that_does_not_suffice_keeps_the_service_from_starting(address: str, server: MariaDB) -> None:
    """Every setting with its remedy, and no password; an acknowledged write would be lost with the machine."""
    server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2", "SET GLOBAL max_allowed_packet = 1048576")
    try:
        code, told = await ended(await start("svc_records", address=address))
    finally:
        server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1", "SET GLOBAL max_allowed_packet = 16777216")
    assert code == 1
    assert "innodb_flush_log_at_trx_commit is 2" in told
    assert "max_allowed_packet is 1048576; set it to 16M" in told
    assert "Traceback" not in told
    assert QUOTED not in told
    assert PASSWORD not in told


@ON_MARIADB
async def test_a_server_that_is_not_there_is_told_without_the_password(address: str) -> None:
    """Who reads the log is not who may read the records."""
    port = address.rpartition(":")[2].partition("/")[0]
    code, told = await ended(await start("svc_records", address=address.replace(f":{port}/", ":1/")))
    assert code == 1
    assert "cannot be used at present" in told or "Can't connect" in told
    assert "Traceback" not in told
    assert QUOTED not in told
    assert PASSWORD not in told


async def test_wrong_settings_are_all_named(address: str) -> None:
    """One start, one list of what to mend."""
    code, told = await ended(await start("svc_records", address=address, PORT="-1", HOST="everywhere"))
    assert code == 2
    assert "CAREMESH_PORT" in told
    assert "CAREMESH_HOST" in told


async def test_an_unknown_word_is_answered_with_the_usage(address: str) -> None:
    """A typing mistake must not start a server."""
    for arguments in (["mirgate"], ["migrate", "x"], ["backup"], ["restore", "a", "b"]):
        code, told = await ended(await start("svc_records", *arguments, address=address))
        assert (code, "usage" in told) == (2, True)


async def test_a_port_that_is_taken_is_told_without_a_traceback(address: str) -> None:
    """The supervisor shows the line and tries again."""
    async with registry() as taken:
        code, told = await ended(await start("svc_records", address=address, PORT=taken.rpartition(":")[2]))
    assert code == 1
    assert "in use" in told
    assert "Traceback" not in told
