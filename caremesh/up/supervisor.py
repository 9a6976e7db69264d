"""All processes of the clinic: started together, kept running, stopped in order."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Any

from caremesh import state
from caremesh.up.child import Child, Inherited, Say
from caremesh.up.plan import Plan
from caremesh.up.ready import wait_ready
from caremesh.up.stream import ME
from process.control import Arguments, ControlPort, Refused

Announce = Callable[[Plan], None]
# Who stops first, and in which second at the latest: gateways finish what they have begun while the services
# still answer, services withdraw their leases and hand over their letters while registry and sink still listen.
ORDER = (("gateway", 1.1), ("prescriptions records", 1.9), ("mail-sink registry", 2.2))
RESTART = 30.0  # seconds for a process that is started again to end in order, beyond its notice
SLOW = 20.0  # seconds after which to say what is not ready yet


class Supervisor:
    """Runs a plan until `stop` is called; `hurry` ends everything at once."""

    def __init__(self, plan: Plan, data: Path, lock_fd: int, say: Say, rng: Random) -> None:
        self.plan = plan
        self._data, self._lock_fd, self._say, self._rng = data, lock_fd, say, rng
        self._stop = asyncio.Event()
        self.children: list[Child] = []
        self._control = ControlPort(0, plan.token)
        self._control.on("POST", "/restart", self._restart)
        self.failed = False

    def stop(self) -> None:
        """Begins the orderly end; a second call makes it an immediate one."""
        if self._stop.is_set():
            self.hurry()
        self._stop.set()

    def hurry(self) -> None:
        """Kills whatever still runs."""
        for child in self.children:
            child.stop(0.0)
            child.kill()

    async def run(self, announce: Announce) -> None:
        """Starts all, announces the plan once its gateways are ready, keeps all running, stops all."""
        with _pipe() as parent_fd:
            inherited = Inherited(parent_fd, self._lock_fd)
            self.children = [Child(spec, inherited, self._say, self._save, self._rng) for spec in self.plan.specs]
            async with self._control, asyncio.TaskGroup() as group:
                self._save()
                keeping = {child: group.create_task(child.keep()) for child in self.children}
                watching = [group.create_task(work) for work in (self._announce(announce), self._watch_refused())]
                await self._stop.wait()
                for task in watching:
                    task.cancel()
                await self._end(keeping)

    async def _end(self, keeping: dict[Child, "asyncio.Task[None]"]) -> None:
        began = time.monotonic()
        for kinds, latest in ORDER:
            ending = [child for child in keeping if child.spec.kind in kinds.split()]
            for child in ending:
                child.stop(began + latest - time.monotonic())
            if ending:
                await asyncio.wait([keeping[child] for child in ending])
                stopped = {child.spec.kind for child in ending}
                self._say(ME, f"stopped: {', '.join(kind for kind in kinds.split() if kind in stopped)}", "dim")
        self._say(ME, f"all stopped in {time.monotonic() - began:.1f} s")

    async def _announce(self, announce: Announce) -> None:
        gateways = [spec.address for spec in self.plan.specs if spec.kind == "gateway"]
        slow = asyncio.get_running_loop().call_later(SLOW, self._tell_slow)
        try:
            await asyncio.gather(*map(wait_ready, gateways))
        finally:
            slow.cancel()
        announce(self.plan)

    def _tell_slow(self) -> None:
        ill = [child.spec.name for child in self.children if child.starts != 1 or child.pid is None]
        what = f"; it keeps ending: {', '.join(ill)}" if ill else ""
        self._say(ME, f"not ready after {SLOW:.0f} s{what}; still trying, Ctrl-C ends it", "yellow")

    async def _watch_refused(self) -> None:
        """Ends everything when a process refuses its settings at its first start: that no restart mends."""
        waiting = {asyncio.create_task(child.refused.wait()): child for child in self.children}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        name = waiting[done.pop()].spec.name
        self._say(ME, f"{name} refuses its settings, see its lines above; mend them and start again", "red")
        self.failed = True
        self.stop()

    async def _restart(self, arguments: Arguments) -> Any:
        """Has one process end in order and start again; answers at once: its pid until now, and its seconds to end."""
        name = arguments.get("name")
        child = next((child for child in self.children if child.spec.name == name), None)
        if child is None:
            there = ", ".join(one.spec.name for one in self.children)
            raise Refused(HTTPStatus.NOT_FOUND, f"there is no such process; there is {there}")
        if self._stop.is_set():
            raise Refused(HTTPStatus.CONFLICT, "everything is ending")
        self._say(child.spec.name, "ends, to be started again", "yellow")
        within = RESTART + float(child.spec.environment.get("CAREMESH_DRAIN_NOTICE", "0"))
        child.restart(within)
        return {"pid": child.pid, "within": within}

    def _save(self) -> None:
        told = tuple(
            state.Running(one.spec.name, one.spec.kind, one.pid, one.spec.address, one.spec.control)
            for one in self.children
        )
        try:
            state.write(
                self._data, state.State(os.getpid(), self.plan.gateway, self.plan.token, told, self._control.address)
            )
        except OSError as error:  # a full disk must not end the supervisor
            self._say(ME, f"{self._data / state.STATE} cannot be written ({error.strerror})", "red")


@contextlib.contextmanager
def _pipe() -> Iterator[int]:
    """The read end of a pipe whose write end only this process holds: it reads its end when this one is gone."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)
