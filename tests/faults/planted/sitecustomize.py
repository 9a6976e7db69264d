"""Kills real processes at seeded moments: Python imports a module of this name at its start when the path has it.

CAREMESH_TEST_KILLS names a folder. Each process takes the moments at which it can die in turn, and draws, from the
seed and the count of its own deaths, after how many writes; a line in the file `kills` there tells it. Where there is
a file `stop` nobody dies any more. CAREMESH_TEST_KILL_AT may name the only moment at which processes die. With
CAREMESH_TEST_HURRY what a clinic waits for is shorter, see tests/faults/hurry.py.
"""

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

SENT, IN, AFTER, MIGRATING = "before the send", "in the transaction", "between commit and answer", "in a migration"
MOMENTS = {"gateway": (SENT,), "records": (IN, AFTER), "prescriptions": (IN, AFTER)}
MIGRATIONS_KILLED = 2  # of each process


class Doom:
    """When this process dies."""

    def __init__(self, folder: Path, name: str) -> None:
        self._kills, self._stop, self._name = folder / "kills", folder / "stop", name
        deaths = [line for line in self._read() if line.startswith(f"{name}\t")]
        self._migrated = sum(MIGRATING in line for line in deaths)
        rng = Random(f"{os.environ['CAREMESH_TEST_SEED']} {name} {len(deaths)}")
        self._only = os.environ.get("CAREMESH_TEST_KILL_AT", "")
        moments = [one for one in MOMENTS.get(name.partition(".")[0], ()) if self._only in {"", one}] or [""]
        self.moment = moments[len(deaths) % len(moments)]
        every = int(os.environ["CAREMESH_TEST_KILL_EVERY"])
        self.left = rng.randint(every // 2, every + every // 2)
        self.statements = rng.randint(1, 8)

    def _read(self) -> list[str]:
        return self._kills.read_text().splitlines() if self._kills.exists() else []

    def reached(self, moment: str) -> None:
        """Dies, if this is the moment and the count is up."""
        if moment != self.moment:
            return
        self.left -= 1
        if self.left <= 0:
            self._die(moment)

    def statement(self) -> None:
        """One statement of a migration is about to run."""
        self.statements -= 1
        if self.statements <= 0 and self._migrated < MIGRATIONS_KILLED and self._only in {"", MIGRATING}:
            self._die(MIGRATING)

    def _die(self, moment: str) -> None:
        if self._stop.exists():
            return
        with self._kills.open("a") as kills:
            kills.write(f"{self._name}\t{moment}\n")
        os.kill(os.getpid(), signal.SIGKILL)


def into_database(doom: Doom, module: ModuleType) -> None:
    write = module.Database.write

    @functools.wraps(write)
    async def doomed(self: Any, work: Callable[[Any], Any], patience: float | None = None) -> Any:
        async def inside(connection: Any) -> Any:
            result = await work(connection)
            doom.reached(IN)
            return result

        result = await write(self, inside, patience)
        doom.reached(AFTER)
        return result

    module.Database.write = doomed


def into_transport(doom: Doom, module: ModuleType) -> None:
    call = module.Transport.__call__

    @functools.wraps(call)
    async def doomed(self: Any, asked: Any) -> Any:
        if "idempotency-key" in asked.metadata:
            doom.reached(SENT)
        return await call(self, asked)

    module.Transport.__call__ = doomed


def into_migrations(doom: Doom, module: ModuleType) -> None:
    from sqlalchemy import event

    run = module._run

    @functools.wraps(run)
    def doomed(connection: Any, scripts: Any) -> None:
        event.listen(connection, "before_cursor_execute", lambda *_: doom.statement())
        run(connection, scripts)

    vars(module)["_run"] = doomed


if "CAREMESH_TEST_KILLS" in os.environ:
    from tests.fakes.planting import plant_on_import

    doom = Doom(Path(os.environ["CAREMESH_TEST_KILLS"]), os.environ.get("CAREMESH_PROCESS", ""))
    plant_on_import(
        {
            "storage.database": functools.partial(into_database, doom),
            "storage.migrations": functools.partial(into_migrations, doom),
            "mesh.transport": functools.partial(into_transport, doom),
        }
    )

if "CAREMESH_TEST_HURRY" in os.environ:
    from tests.fakes.planting import plant_on_import
    from tests.faults.hurry import HURRY

    plant_on_import(HURRY)
