"""The clinic itself: caremesh.toml, settings, ports, databases, and what runs."""

import asyncio
import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

from sqlalchemy import inspect

from caremesh import preflight
from caremesh.config import KINDS, Config, ConfigError, read
from caremesh.doctor.finding import Finding, note, well, wrong
from caremesh.state import State
from caremesh.up.plan import DATABASES, environments
from caremesh.up.ports import bind, holder
from gateway.policies import policies
from mesh.policy.table import PolicyError, warnings
from storage.database import Database
from storage.engine import PUT_BACK
from storage.errors import StorageError, Unfit


def configuration(file: Path) -> tuple[Config | None, list[Finding]]:
    """The file, read, and what is wrong with it."""
    try:
        config = read(file)
    except ConfigError as error:
        return None, [wrong("caremesh.toml", problem, "mend that entry") for problem in error.problems]
    counts = ", ".join(f"{kind.name} × {kind.count}" for kind in config.kinds.values())
    return config, [well("caremesh.toml", f"{file}: {counts}")]


def settings(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether each process would take what it is given."""
    problems = preflight.problems(config, environments(config, environ))
    yield from (wrong("settings", problem, "mend it there") for problem in problems)
    yield from (note("settings", f"no process reads {name}") for name in preflight.misspelt(environ))
    if not problems:
        yield well("settings", "each process takes its own")


def policy(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What the gateway's policy table says; what is wrong with it, the settings have told."""
    file = environments(config, environ)["gateway"].get("CAREMESH_POLICY", "")
    try:
        found = policies(file)
    except PolicyError:
        return
    for warning in warnings(found):
        yield note("policy", f"{file}: {warning}")
    methods = sum(len(each.methods) for each in found.values())
    yield well("policy", f"{file}: {methods} methods of {', '.join(found)}" if file else "the mesh's defaults")


def ports(config: Config, running: State | None) -> Iterator[Finding]:
    """Whether the ports of the file are free, or this clinic's own."""
    ours = {int(one.address.rpartition(":")[2]): one.name for one in running.processes} if running else {}
    for kind in config.kinds.values():
        for port in range(kind.port, kind.port + kind.count) if kind.port else ():
            yield _port(f"port {port}", port, ours.get(port), kind.name)


def _port(what: str, port: int, ours: str | None, kind: str) -> Finding:
    if ours is not None:
        return well(what, f"{ours} listens there")
    try:
        bind(port).close()
    except OSError as error:
        if error.errno == errno.EACCES:
            return wrong(what, "is not for this user", f"set `port` of [{kind}] to 1024 or more")
        who = holder(port) or "a process that cannot be seen from here"
        return wrong(what, f"is taken by {who}", f"end it, or change `port` of [{kind}]; `up` takes the next free one")
    return well(what, f"is free for {kind}")


def databases(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether each service's database can be opened and is sound."""
    found = environments(config, environ)
    for kind in DATABASES:
        address = found[kind].get("CAREMESH_DATABASE", "")
        if address.startswith("sqlite:///"):
            yield _sqlite(f"database {kind}", Path(address.removeprefix("sqlite:///")))
        else:
            yield _server(f"database {kind}", kind, address)


def _sqlite(what: str, file: Path) -> Finding:
    if not file.exists():
        return well(what, f"{file} is made by the first start")
    remedy = f"stop the clinic, move {file} away, and put a backup back: `caremesh restore DIR`"
    if not os.access(file, os.R_OK | os.W_OK):
        return wrong(what, f"{file} is not readable and writable", f"`sudo chown $USER {file}`")
    try:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=2)
        try:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        return wrong(what, f"{file} cannot be opened ({error.sqlite_errorname})", remedy)
    if answer != "ok":
        return wrong(what, f"{file} is damaged", remedy)
    return well(what, f"{file}, {file.stat().st_size / 2**20:.1f} MiB, {tables} tables, sound")


def _server(what: str, kind: str, address: str) -> Finding:
    tables = set(import_module(f"{KINDS[kind]}.wiring").hosted().shape.table.metadata.tables)
    try:
        there = asyncio.run(_tables(address))
    except Unfit as error:
        return wrong(what, "; ".join(error.problems), "mend each; the service does not start before")
    except StorageError as error:
        told = str(getattr(error.__cause__, "orig", None) or error)  # what the driver says has more in it
        return wrong(what, told, f"mend that, or CAREMESH_DATABASE of [{kind}.environment]")
    if "alembic_version" not in there:
        return well(what, "answers and is fit; the first start makes its tables")
    if missing := ", ".join(sorted(tables - there)):
        return wrong(what, f"has another service's schema, or lost tables: {missing} is missing", PUT_BACK)
    return well(what, f"answers and is fit, {len(tables)} tables")


async def _tables(address: str) -> set[str]:
    async with Database(address) as database:
        return set(await database.read(lambda opened: opened.run_sync(lambda one: inspect(one).get_table_names())))
