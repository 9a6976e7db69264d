"""One process that is kept running: started, read, waited for, started again."""

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from caremesh.terminal import untold
from caremesh.up.output import read_lines
from caremesh.up.plan import Spec
from mesh.decide.backoff import full_jitter

HEALTHY = 10.0  # seconds; who ran so long begins again with the shortest wait
AT_LEAST = 0.1  # seconds before a start, so that what dies at once does not spin
LAST_WORDS = 0.3  # seconds to read what is left in the pipe of a process that has ended
HURRY = signal.SIGUSR1  # has a process end without waiting for its callers: they end, too
REFUSED = 2  # the exit code of a process that does not take its settings

Say = Callable[..., None]  # (name, text, colour="")


@dataclass
class Inherited:
    """What each child inherits: the pipe that tells it of the supervisor's end, and the lock on the data."""

    parent_fd: int
    lock_fd: int


class Child:
    """Keeps one process running until `stop`; `changed` is called whenever it starts or ends."""

    def __init__(self, spec: Spec, inherited: Inherited, say: Say, changed: Callable[[], object], rng: Random) -> None:
        self.spec = spec
        self.pid: int | None = None
        self.starts = 0
        self.refused = asyncio.Event()  # it ended at once, for its settings: starting again is no use
        self._inherited, self._say, self._changed, self._rng = inherited, say, changed, rng
        self._told = asyncio.Event()  # to end, for good or to be started again
        self._ordered, self._stopping = False, False
        self._grace = 0.0

    def stop(self, grace: float) -> None:
        """Ends it without notice to its callers, and kills it after `grace` seconds.

        A second call may shorten the grace.
        """
        self._stopping = True
        self._tell(grace)

    def restart(self, grace: float) -> None:
        """Ends it when its callers have gone, or kills it after `grace` seconds; and starts it again at once."""
        self._tell(grace)

    def _tell(self, grace: float) -> None:
        self._ordered, self._grace = True, max(0.0, grace)
        self._told.set()

    def kill(self) -> None:
        """Ends it now, with all that it started."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    async def keep(self) -> None:
        """Runs it again and again, until it was told to stop and has ended."""
        failures = 0
        while not self._stopping:
            self._told.clear()
            self._ordered, began = False, time.monotonic()
            ending = await self._run()
            if self._ordered:
                failures = 0
                continue
            failures = 1 if time.monotonic() - began >= HEALTHY else failures + 1
            wait = AT_LEAST + full_jitter(failures, 0.5, 30.0, self._rng)
            self._say(self.spec.name, f"{ending}; starting it again in {wait:.1f} s", "red")
            await _either(self._told, wait)

    async def _run(self) -> str:
        """Runs it once; says how it ended."""
        try:
            process, output = await self._start()
        except OSError as error:
            return f"could not be started ({error.strerror})"
        reading = asyncio.create_task(read_lines(output, lambda line: self._say(self.spec.name, line)))
        reading.add_done_callback(self._read)
        try:
            code = await self._wait(process)
        finally:
            self.kill()  # what it started, too
            self.pid = None
            self._changed()
            await asyncio.wait({reading}, timeout=LAST_WORDS)
            reading.cancel()
        if code == REFUSED and self.starts == 1:
            self.refused.set()
        return _ending(code)

    def _read(self, reading: "asyncio.Task[None]") -> None:
        if not reading.cancelled() and (error := reading.exception()):
            self._say(self.spec.name, f"what it prints is shown no more: {untold(error)}", "red")

    async def _start(self) -> tuple[Process, int]:
        """The process, and where to read what it prints."""
        output, writing = os.pipe()
        try:
            process = await self._spawn(writing)
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(writing)
        self.pid, self.starts = process.pid, self.starts + 1
        self._changed()
        return process, output

    async def _spawn(self, output: int) -> Process:
        environment = {**self.spec.environment, "CAREMESH_PARENT_FD": str(self._inherited.parent_fd)}
        return await asyncio.create_subprocess_exec(
            *self.spec.command,
            env=environment,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # so that Ctrl-C reaches the supervisor alone
            pass_fds=(self._inherited.parent_fd, self._inherited.lock_fd),
        )

    async def _wait(self, process: Process) -> int:
        ended, told = asyncio.ensure_future(process.wait()), asyncio.ensure_future(self._told.wait())
        try:
            await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await self._end(process, ended)
            return await ended
        finally:
            told.cancel()
            ended.cancel()

    async def _end(self, process: Process, ended: "asyncio.Future[int]") -> None:
        while self._told.is_set() and not ended.done():  # while it ends to be started again it may be told to stop
            self._told.clear()
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(HURRY if self._stopping else signal.SIGTERM)
            again = asyncio.create_task(_either(self._told, self._grace))
            await asyncio.wait((ended, again), return_when=asyncio.FIRST_COMPLETED)
            again.cancel()
        if not ended.done():
            self._say(self.spec.name, f"did not end within {self._grace:.1f} s; killed", "yellow")
            self.kill()


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    names = {number.value: number.name for number in signal.Signals}  # real-time signals have none
    return f"ended by {names.get(-code, f'signal {-code}')}"


async def _either(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
