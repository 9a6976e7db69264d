"""Clients write while processes and the database die at seeded moments; then the store is held against their logs."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from tests.fakes.mariadb import MariaDB, mariadb
from tests.fakes.waiting import until
from tests.faults.asking import Log, session
from tests.faults.checker import Finding, check
from tests.faults.clients import Client
from tests.faults.keeping import calm, kept_alive, killed, killing, kills
from tests.faults.report import Report, Scenario, telling
from tests.faults.stored import stored
from tests.stack import Stack

CLIENTS = 8
WRITES = 50_000  # acknowledged ones, in full size
KILL_EVERY = 500  # writes of one process, about
AN_HOUR = 3600.0  # longer than a run
DATABASE_KILLED = 20  # times in full size, and twice at least
MOMENTS = ("before the send", "in the transaction", "between commit and answer", "in a migration")
DATABASE = "MariaDB itself"
FAULT = 500


def on_sqlite(scenario: Scenario) -> Report:
    """Gateways and services are killed."""
    return asyncio.run(_run(scenario, {}, None))


def on_mariadb(scenario: Scenario) -> Report:
    """Gateways, services and the database server are killed."""
    with ExitStack() as exits:
        server = exits.enter_context(mariadb())
        databases = {name: exits.enter_context(server.database()) for name in ("records", "prescriptions")}
        return asyncio.run(_run(scenario, databases, server))


async def _run(scenario: Scenario, databases: Mapping[str, str], server: MariaDB | None) -> Report:
    folder, writes, log = scenario.folder, scenario.size(WRITES), Log()
    settings = killing(folder, scenario.seed, KILL_EVERY)
    stack = Stack(folder, replicas=2, gateways=2, settings=settings, databases=databases)
    async with kept_alive(stack), session() as http:
        clients = [Client(number, stack.urls, scenario.seed, log, http) for number in range(CLIENTS)]

        def progress() -> str:
            return f"{log.acknowledged:,} of {writes:,} acknowledged, {kills(folder).total()} kills"

        async with telling(scenario, progress), asyncio.TaskGroup() as group:
            if server:
                group.create_task(_kill(server, log, writes, scenario))
            for client in clients:
                group.create_task(client.run(writes))
        await calm(stack, folder)
        patients = [patient for client in clients for patient in client.patients]
        histories, listed = await stored(http, stack.url, patients, log.operations)
    moments = (*MOMENTS, DATABASE) if server else MOMENTS
    report = _report(log, check(log.operations, histories, listed), kills(folder), moments)
    if scenario.share < 1:
        return report
    unseen = [f"nobody died {moment}, so nothing is known of it" for moment in moments if not kills(folder)[moment]]
    return replace(report, broken=[*report.broken, *unseen])


def _report(log: Log, findings: list[Finding], died: Counter[str], moments: Sequence[str]) -> Report:
    outcomes = Counter(operation.outcome for operation in log.operations)
    figures = {
        "acknowledged": log.acknowledged,
        **{f"calls {outcome}": count for outcome, count in sorted(outcomes.items())},
        "kills": died.total(),
        **{f"killed {moment}": died[moment] for moment in moments},
    }
    broken = [f"{finding.check}: {finding.told}\n    " + _shown(finding) for finding in findings]
    faults = [operation for operation in log.operations if operation.status == FAULT]
    return Report(figures, [*broken, *(f"no death is a fault of the program: {fault}" for fault in faults)])


def _shown(finding: Finding) -> str:
    return "\n    ".join(finding.witness)


async def _kill(server: MariaDB, log: Log, writes: int, scenario: Scenario) -> None:
    """Kills the database at drawn counts of acknowledged writes, and starts it again each time."""
    rng = scenario.rng("database")
    for count in sorted(rng.randrange(writes * 9 // 10) for _ in range(max(2, scenario.size(DATABASE_KILLED)))):
        await until(lambda: log.acknowledged >= count, AN_HOUR)  # noqa: B023  # awaited here
        await asyncio.to_thread(server.kill)
        killed(scenario.folder, "mariadb", DATABASE)
        await asyncio.to_thread(server.start)
