"""What runs on this data folder: a lock that lives as long as its processes, and a file that tells where they are."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from storage import folders

LOCK, STATE = "up.lock", "up.json"
ORPHANS = 2.0  # seconds that the children of a killed supervisor may need to end; they hold the lock until then


@dataclass(frozen=True)
class Running:
    """One process.

    Attributes:
        name: such as "records.2".
        pid: None while it is down.
        address: where it serves, such as "127.0.0.1:50052".
        control: where its control port listens.
    """

    name: str
    kind: str
    pid: int | None
    address: str
    control: str


@dataclass(frozen=True)
class State:
    """What var/up.json says.

    Attributes:
        token: what the control ports of all its processes, and its own, want to see.
        control: where the supervisor's own control port listens.
    """

    pid: int
    gateway: str
    token: str = field(repr=False)
    processes: tuple[Running, ...]
    control: str = ""

    @property
    def supervisor(self) -> Running:
        """The process that keeps the others running."""
        return Running("caremesh up", "up", self.pid, "", self.control)


class AlreadyRunning(Exception):
    """The data is in use; the text says by whom, and what to do."""


def write(data: Path, state: State) -> None:
    """Replaces the file at once, readable by its owner only."""
    temporary = data / f"{STATE}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file, indent=1)
    temporary.replace(data / STATE)


def read(data: Path) -> State | None:
    """What the file says, None without one; it may be what a killed supervisor left behind: see `running`."""
    try:
        told = json.loads((data / STATE).read_text(encoding="utf-8"))
        processes = tuple(Running(**one) for one in told.pop("processes"))
        return State(**told, processes=processes)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def running(data: Path) -> State | None:
    """The state, if a supervisor really runs on this data now."""
    state = read(data)
    return state if state is not None and alive(state.pid) and _locked(data) else None


@contextlib.contextmanager
def locked(data: Path) -> Iterator[int]:
    """Holds the data folder; gives the lock's descriptor, to be inherited by each process that uses the data.

    The lock belongs to the open file, not to a process: when the supervisor is killed it stays until the
    last child has ended too, so that no second set of processes starts on the data meanwhile.

    Raises:
        AlreadyRunning: when another supervisor, or what it left, holds it.
    """
    folders.make(data)
    descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(descriptor, data)
        try:
            yield descriptor
        finally:
            (data / STATE).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, data: Path) -> None:
    end = time.monotonic() + ORPHANS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            state = read(data)
            if (state is not None and alive(state.pid)) or time.monotonic() > end:
                raise AlreadyRunning(_told(data, state)) from None
        time.sleep(0.05)


def _told(data: Path, state: State | None) -> str:
    if state is None:
        return f"`caremesh up` is just starting on {data}, or a backup is being put back; wait for it, or stop it"
    if alive(state.pid):
        stop = f"stop it with Ctrl-C in its terminal or `kill {state.pid}`"
        return f"CareMesh already runs on {data}: pid {state.pid}, gateway at {state.gateway}; {stop}"
    pids = " ".join(str(one.pid) for one in state.processes if one.pid and alive(one.pid))
    remedy = f"end them with `kill -9 {pids}`" if pids else f"`fuser {data / LOCK}` names them; end them"
    return f"processes of an earlier start still use {data}; {remedy}"


def _locked(data: Path) -> bool:
    try:
        descriptor = os.open(data / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def alive(pid: int) -> bool:
    """Whether a process with this id runs; one that has ended and was not yet waited for does not."""
    try:
        os.kill(pid, 0)
        # In a container without an init such a zombie stays; proc(5) tells it by its state, after the name.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except ProcessLookupError:
        return False
    except (OSError, IndexError):  # another user's process, or a system without /proc
        return True
