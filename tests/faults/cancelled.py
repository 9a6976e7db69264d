"""20,000 calls whose callers go away: nobody gets another's answer, and in the end everything is whole.

Most are calls of storage in this process, so that they can be cancelled exactly while the driver is in a BEGIN, a
statement or a COMMIT. The others are gRPC calls to a real service on the same database.
"""

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random

from sqlalchemy import event

from mesh.clock import SystemClock
from mesh.errors import RemoteError
from mesh.server import Health
from mesh.status import Status
from mesh.transport import Transport
from protos.codec import Codec
from storage.database import READERS, WRITERS, Database
from storage.errors import OutcomeUnknown, Unavailable
from storage.lane import TO_ANSWER
from tests.databases import RECORDS, migrated
from tests.fakes.mariadb import MariaDB, mariadb
from tests.fakes.mesh import Recorded
from tests.faults.alone import service
from tests.faults.pools import SEAT, Connections, Pools, left
from tests.faults.questions import LONG, Direct, Questions, Remote
from tests.faults.report import Report, Scenario, telling
from tests.integration.services.serving import Client

CALLS = 18_000  # that end early, in this process
OF_THE_SERVICE = 2_000  # the same, of a service
CALLERS = 24  # at once
BEGIN, STATEMENT, COMMIT = "in BEGIN", "in a statement", "in COMMIT"
ANY, DEADLINE = "at any time", "by their deadline"
MOMENTS = (BEGIN, STATEMENT, COMMIT, ANY, DEADLINE)
SOON = 0.02  # seconds within which a call is cancelled, or its deadline comes

calling: ContextVar["Call | None"] = ContextVar("calling", default=None)
"""The call that the present task works for."""


def on_sqlite(scenario: Scenario) -> Report:
    """On a file of its own."""
    return asyncio.run(_run(scenario, f"sqlite:///{scenario.folder}/records.db", lambda: None))


def on_mariadb(scenario: Scenario) -> Report:
    """On a server of its own."""
    with mariadb() as server, server.database() as address:
        return asyncio.run(_run(scenario, address, partial(_connections, server)))


def _connections(server: MariaDB) -> int:
    """How many the server has of others than the one that asks."""
    ((number,),) = server.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'clinic'")
    return int(str(number))


@dataclass
class Told:
    """What became of the calls so far."""

    early: Counter[str] = field(default_factory=Counter)  # ended, by the moment at which they did
    answered: int = 0
    broken: list[str] = field(default_factory=list)


async def _run(scenario: Scenario, address: str, connections: Connections) -> Report:
    told, of_service = Told(), Told()
    await migrated(address, RECORDS)
    threads = threading.active_count()
    async with Database(address) as database:
        pools, mine = Pools(database, connections), Questions(Direct(database), 100)
        _listen(database)
        await _ask(scenario, told, mine, scenario.size(CALLS), MOMENTS)
        told.broken += await pools.wrong()
    told.broken += await left(threads, connections)
    theirs = await _of_the_service(scenario, of_service, address, connections)
    async with Database(address) as database:
        for questions in (mine, theirs):
            told.broken += [*questions.wrong, *await questions.settle(Direct(database))]
    figures = {
        "calls that ended early": told.early.total() + of_service.early.total(),
        **{f"cancelled {moment}": told.early[moment] for moment in MOMENTS},
        "of a service's": of_service.early.total(),
        "calls answered, each with its own": told.answered + of_service.answered,
        "connections, each opened once": pools.opened,
    }
    return Report(figures, [*told.broken, *of_service.broken])


async def _of_the_service(scenario: Scenario, told: Told, address: str, connections: Connections) -> Questions:
    """The same with a real service between; it must go on, and end when it is told to."""
    with service("records", scenario.folder / "service", {"CAREMESH_DATABASE": address}) as (process, where):
        transport = Transport(where, Codec(), SystemClock())
        questions = Questions(Remote(Client("caremesh.v1.PatientRecordsService", transport, Health(), Recorded())), 200)
        await _ask(scenario, told, questions, scenario.size(OF_THE_SERVICE), (ANY, DEADLINE))
        await asyncio.gather(*(questions.ask(-number, Random(number)) for number in range(1, CALLERS)))
        if (connections() or 0) > READERS + WRITERS + SEAT:
            told.broken.append(f"the service has {connections()} connections, of {READERS + WRITERS + SEAT}")
        transport.close()
        await asyncio.to_thread(process.send, signal.SIGTERM)
        if process.running is None or process.running.returncode != 0:
            told.broken.append(f"the service did not end in order: {process.told[-500:]}")
    if connections():
        told.broken.append(f"the service left {connections()} connections")
    return questions


async def _ask(scenario: Scenario, told: Told, questions: Questions, wanted: int, moments: Sequence[str]) -> None:
    """Asks until so many calls have ended early."""
    numbers, rng = count(1), scenario.rng(moments[0])
    await questions.begin()

    async def caller() -> None:
        while told.early.total() < wanted:
            await _one(next(numbers), Random(rng.random()), rng.choice(moments), questions, told)

    async with (
        telling(scenario, lambda: f"{told.early.total():,} of {wanted:,} calls ended early"),
        asyncio.TaskGroup() as group,
    ):
        for _ in range(CALLERS):
            group.create_task(caller())


@dataclass
class Call:
    """A call that is to be cancelled at a moment, when that was reached so often."""

    moment: str
    left: int
    task: asyncio.Task[None] | None = None

    def reached(self, moment: str) -> None:
        self.left -= moment == self.moment
        if self.left == 0 and self.task:
            self.task.cancel()


async def _one(number: int, rng: Random, moment: str, questions: Questions, told: Told) -> None:
    call = Call(moment, rng.randint(1, 3) if moment == STATEMENT else 1)
    patience = TO_ANSWER + rng.uniform(0, SOON) if moment == DEADLINE else LONG

    async def asked() -> None:
        calling.set(call)
        await questions.ask(number, rng, patience)

    call.task = asyncio.create_task(asked())
    if moment == ANY:
        await asyncio.wait({call.task}, timeout=rng.uniform(0, SOON))
        call.task.cancel()
    await asyncio.wait({call.task})
    error = None if call.task.cancelled() else call.task.exception()
    if call.task.cancelled() or (moment == DEADLINE and _is_late(error)):
        told.early[moment] += 1
    elif error is None:
        told.answered += 1
    else:
        told.broken.append(f"call {number}, to be cancelled {moment}, ended with {error!r}")


def _is_late(error: BaseException | None) -> bool:
    if isinstance(error, RemoteError):
        # UNKNOWN is grpclib's word for a call whose time was over before its handler began.
        return error.status in {Status.DEADLINE_EXCEEDED, Status.UNAVAILABLE, Status.UNKNOWN}
    return isinstance(error, Unavailable | OutcomeUnknown)


def _listen(database: Database) -> None:
    """Tells calls which moment they have reached: the driver is about to be awaited."""

    def statement(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        if call := calling.get():
            call.reached(BEGIN if statement.startswith(("BEGIN", "START")) else STATEMENT)

    def commit(_connection: object) -> None:
        if call := calling.get():
            call.reached(COMMIT)

    for engine in database.engines:
        event.listen(engine.sync_engine, "before_cursor_execute", statement)
        event.listen(engine.sync_engine, "commit", commit)
