"""The supervisor with small stand-ins for its processes: what it starts, starts again, stops, and says."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from caremesh import state
from caremesh.control import Unanswered, ask
from caremesh.up import child as supervised_child
from caremesh.up.plan import Plan, Spec
from caremesh.up.supervisor import ORDER, RESTART, Supervisor
from tests.fakes import child
from tests.fakes.absence import cannot_run
from tests.fakes.waiting import until


@dataclass
class Heard:
    """Everything the supervisor said."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, name: str, text: str, colour: str = "") -> None:
        self.lines.append((name, text))

    def count(self, name: str, text: str) -> int:
        return sum(text in told for who, told in self.lines if who == name)

    def before(self, *texts: str) -> bool:
        """Whether these were said in this order."""
        said = [told for _, told in self.lines]
        places = [next(place for place, told in enumerate(said) if text in told) for text in texts]
        return places == sorted(places)


def plan(**kinds: str) -> Plan:
    """One process of each kind named, behaving so."""
    command = {name: (sys.executable, "-S", child.__file__, behaviour) for name, behaviour in kinds.items()}
    specs = [Spec(f"{name}.1", name, command[name], 1, 2, dict(os.environ)) for name in kinds]
    return Plan(tuple(specs), (), "a token of sixteen")


@asynccontextmanager
async def supervised(place: Path, planned: Plan) -> AsyncIterator[tuple[Supervisor, Heard, "asyncio.Task[None]"]]:
    """Runs it until the block is left."""
    heard = Heard()
    with state.locked(place) as lock:
        supervisor = Supervisor(planned, place, lock, heard, Random(1))
        task = asyncio.create_task(supervisor.run(lambda _: None))
        try:
            yield supervisor, heard, task
        finally:
            if not task.done():
                supervisor.stop()
            await asyncio.wait_for(task, 10)


def up(heard: Heard, *names: str) -> Callable[[], bool]:
    return lambda: all(heard.count(f"{name}.1", "up ") for name in names)


def held_by(pid: int | None) -> list[Path]:
    held = Path(f"/proc/{pid}/fd")
    if not held.exists():
        cannot_run("who holds which file", "run on Linux, which tells it in /proc")
    return [link.resolve() for link in held.iterdir()]


ALL = {"registry": "plain", "records": "plain", "gateway": "plain", "mail-sink": "plain"}


async def test_a_process_that_is_killed_is_started_again_and_it_is_said(tmp_path: Path) -> None:
    """The promise of `caremesh up`: a replica that dies comes back without anybody's hand."""
    async with supervised(tmp_path, plan(**ALL)) as (supervisor, heard, _):
        await until(up(heard, *ALL))
        records = supervisor.children[1]
        assert records.pid
        os.kill(records.pid, signal.SIGKILL)
        await until(lambda: heard.count("records.1", "up ") == 2)
        assert heard.count("records.1", "ended by SIGKILL; starting it again in 0.") == 1
        assert heard.count("gateway.1", "up ") == 1


async def test_what_dies_at_once_is_started_ever_more_slowly(tmp_path: Path) -> None:
    """A process that cannot live must not burn the machine."""
    async with supervised(tmp_path, plan(gateway="dies", registry="plain")) as (_, heard, _task):
        await until(lambda: heard.count("gateway.1", "ended with exit code 3") >= 4)
    waits = [float(told.split(" in ")[1].split()[0]) for _, told in heard.lines if "again" in told]
    assert all(0.1 <= wait <= 0.1 + 0.5 * 2**place for place, wait in enumerate(waits))
    assert max(waits) > 0.5


async def test_who_ran_well_for_a_while_is_started_again_without_delay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies once a day must not come back ever more slowly."""
    monkeypatch.setattr(supervised_child, "HEALTHY", 0.0)
    async with supervised(tmp_path, plan(gateway="dies")) as (_, heard, _task):
        await until(lambda: heard.count("gateway.1", "ended with exit code 3") >= 6)
    waits = [float(told.split(" in ")[1].split()[0]) for _, told in heard.lines if "again" in told]
    assert max(waits) <= 0.1 + 0.5


async def test_each_process_holds_the_lock_of_the_data(tmp_path: Path) -> None:
    """What is left of a killed supervisor keeps a second set of processes off the data."""
    async with supervised(tmp_path, plan(gateway="plain")) as (supervisor, heard, _):
        await until(up(heard, "gateway"))
        assert tmp_path / state.LOCK in held_by(supervisor.children[0].pid)


async def test_all_are_stopped_in_order_gateways_first_the_registry_last(tmp_path: Path) -> None:
    """A gateway that outlives its services answers its last requests with errors."""
    async with supervised(tmp_path, plan(**ALL)) as (supervisor, heard, task):
        await until(up(heard, *ALL))
        pids = [one.pid for one in supervisor.children]
        supervisor.stop()
        await task
    assert heard.before("stopped: gateway", "stopped: records", "stopped: mail-sink, registry", "all stopped in 0.")
    assert not any(pid and state.alive(pid) for pid in pids)


async def test_who_does_not_end_is_killed_and_named_and_all_is_over_in_3_seconds(tmp_path: Path) -> None:
    """The promise holds even when each kind hangs."""
    hanging = dict.fromkeys(("registry", "records", "prescriptions", "gateway"), "stubborn")
    async with supervised(tmp_path, plan(**hanging)) as (supervisor, heard, task):
        await until(up(heard, *hanging))
        await asyncio.sleep(0.1)  # until each has set its signal's handling, which it cannot tell
        supervisor.stop()
        await task
    assert ORDER[-1][1] < 3.0
    killed = {name for name, told in heard.lines if told.startswith("did not end within ")}
    assert killed == {f"{name}.1" for name in hanging}


async def test_a_second_stop_ends_everything_at_once(tmp_path: Path) -> None:
    """Ctrl-C twice: somebody is in a hurry."""
    async with supervised(tmp_path, plan(gateway="stubborn", registry="stubborn")) as (supervisor, heard, task):
        await until(up(heard, "gateway", "registry"))
        began = time.monotonic()
        supervisor.stop()
        supervisor.stop()
        await task
        assert time.monotonic() - began < 1.0


async def test_a_process_that_refuses_its_settings_ends_everything_and_is_a_failure(tmp_path: Path) -> None:
    """No restart mends a setting: starting it for ever would hide the line that says what to mend."""
    async with supervised(tmp_path, plan(registry="plain", gateway="refuses")) as (supervisor, heard, task):
        await asyncio.wait_for(task, 10)
        assert supervisor.failed
        assert heard.count("caremesh", "gateway.1 refuses its settings") == 1
        assert heard.count("gateway.1", "up ") == 1


async def test_each_start_and_end_is_in_the_state_file(tmp_path: Path) -> None:
    """Other commands find processes by it; a pid of yesterday's process would mislead them."""

    def pids() -> list[int | None]:
        told = state.read(tmp_path)
        return [one.pid for one in told.processes] if told else []

    async with supervised(tmp_path, plan(gateway="plain")) as (supervisor, heard, _):
        await until(up(heard, "gateway"))
        first = supervisor.children[0].pid
        assert pids() == [first]
        assert first
        os.kill(first, signal.SIGKILL)
        await until(lambda: heard.count("gateway.1", "up ") == 2)
        assert pids() == [supervisor.children[0].pid] != [first]


async def test_a_line_of_any_length_comes_through_in_pieces(tmp_path: Path) -> None:
    """A reader that gives up on a long line would leave the process hanging on a full pipe."""
    async with supervised(tmp_path, plan(gateway="long")) as (_, heard, _task):
        await until(lambda: sum(told.count("x") for _, told in heard.lines) == 200_000)
    assert max(len(told) for _, told in heard.lines) < 200_000


async def test_a_command_that_does_not_exist_is_said_and_tried_again(tmp_path: Path) -> None:
    """An environment being rebuilt under a running clinic comes back by itself."""
    lost = Plan((Spec("gateway.1", "gateway", ("/nowhere/python",), 1, 2, {}),), (), "")
    async with supervised(tmp_path, lost) as (_, heard, _task):
        await until(lambda: heard.count("gateway.1", "could not be started (No such file or directory)") >= 2)


async def test_what_a_killed_process_had_started_does_not_outlive_it(tmp_path: Path) -> None:
    """A migration left running would go on changing the database under the next start."""
    async with supervised(tmp_path, plan(gateway="family")) as (supervisor, heard, _):
        await until(lambda: heard.count("gateway.1", "started ") == 1)
        own = int(next(told.split()[1] for _, told in heard.lines if told.startswith("started ")))
        pid = supervisor.children[0].pid
        assert pid
        assert state.alive(own)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not state.alive(own))


async def test_one_process_is_started_again_in_order_and_at_once(tmp_path: Path) -> None:
    """It takes its leave from its callers first, which a stop of everything does not; the others go on."""
    async with supervised(tmp_path, plan(**ALL)) as (supervisor, heard, _):
        await until(up(heard, *ALL))
        before = {child.spec.name: child.pid for child in supervisor.children}
        assert await asked(tmp_path, "records.1") == {"pid": before["records.1"], "within": RESTART}
        await until(lambda: heard.count("records.1", "up ") == 2)
        after = {child.spec.name: child.pid for child in supervisor.children}
        assert {name for name in before if before[name] != after[name]} == {"records.1"}
        assert heard.count("records.1", "ends by SIGTERM") == 1
        assert heard.count("records.1", "starting it again in") == 0
    assert heard.count("records.1", "ends by SIGUSR1") == 1
    assert heard.count("gateway.1", "ends by SIGUSR1") == 1


async def test_a_process_that_waits_to_be_started_again_is_started_at_once_when_asked(tmp_path: Path) -> None:
    """Whoever mended what was wrong does not wait for the pause."""
    async with supervised(tmp_path, plan(gateway="dies")) as (supervisor, heard, _):
        await until(lambda: heard.count("gateway.1", "ended with exit code 3") == 1)
        starts = supervisor.children[0].starts
        supervisor.children[0].restart(1.0)
        await until(lambda: supervisor.children[0].starts > starts)


async def test_a_stop_does_not_wait_for_one_that_takes_its_leave(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a restart ends everything as quickly as ever."""
    async with supervised(tmp_path, plan(gateway="stubborn", registry="plain")) as (supervisor, heard, task):
        await until(up(heard, "gateway", "registry"))
        await asyncio.sleep(0.1)  # until it has set its signals' handling, which it cannot tell
        supervisor.children[0].restart(1000.0)
        await asyncio.sleep(0)
        supervisor.stop()
        await task
    assert heard.count("gateway.1", "up ") == 1
    assert heard.count("gateway.1", "did not end within ") == 1


async def test_who_does_not_end_is_killed_and_started_again_all_the_same(tmp_path: Path) -> None:
    """A rolling restart must not hang on one that does."""
    async with supervised(tmp_path, plan(gateway="stubborn")) as (supervisor, heard, _):
        await until(up(heard, "gateway"))
        await asyncio.sleep(0.1)  # as above
        supervisor.children[0].restart(0.2)
        await until(lambda: heard.count("gateway.1", "up ") == 2)
        assert heard.count("gateway.1", "did not end within 0.2 s; killed") == 1


async def test_a_process_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    """The answer says which there are."""
    async with supervised(tmp_path, plan(gateway="plain", registry="plain")) as (_, heard, _task):
        await until(up(heard, "gateway", "registry"))
        with pytest.raises(Unanswered, match=r"there is gateway\.1, registry\.1"):
            await asked(tmp_path, "records.9")


async def asked(place: Path, name: str) -> object:
    """Asks the supervisor as `caremesh restart` does."""
    running = state.running(place)
    assert running
    return await asyncio.to_thread(ask, running, running.supervisor, "POST", "/restart", name=name)
