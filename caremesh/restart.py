"""Starts the processes of the running clinic again, one after the other, so that nobody who uses it notices.

Each takes its leave first: a service withdraws its lease, a gateway says 503 to /readyz, and what is in flight is
answered. The next one follows when the new one serves. They get the code that is there now, and the settings
that `caremesh up` was started with.
"""

import argparse
import contextlib
import fcntl
import http.client
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from caremesh import config, state
from caremesh.control import Unanswered, ask
from caremesh.doctor.running import health
from caremesh.endings import INTERRUPTED, Refused
from caremesh.state import Running, State
from caremesh.terminal import complain, say
from caremesh.up.plan import DATABASES

LOCK = "restart.lock"
STARTS, SERVES = 10.0, 60.0  # seconds for the new one to be started once the old one has ended, and to serve
NOTICED = 1.5  # seconds: callers probe each second, and a balancer looks as often
EVERY = 0.1
ANSWER = 2.0  # seconds


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "kind", nargs="?", choices=config.KINDS, metavar="KIND", help=f"only {', '.join(config.KINDS)}; all without it"
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(config.DEFAULT_FILE),
        metavar="FILE",
        help="which clinic (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Restarts one after the other; 1 at the first that does not come back, and the rest is left as it is."""
    try:
        data = config.read(arguments.config).data
        with _alone(data):
            _all(data, arguments.kind)
    except config.ConfigError as error:
        complain(str(error))
        return 2
    except (Refused, Unanswered) as error:
        complain(f"restart: {error}")
        return 1
    except KeyboardInterrupt:
        complain("restart: interrupted; what has ended is started again, the rest is left as it is")
        return INTERRUPTED
    return 0


def _all(data: Path, kind: str | None) -> None:
    clinic = _clinic(data)
    chosen = [one for one in clinic.processes if kind in (None, one.kind)]
    if not chosen:
        raise Refused(f"there is no {kind} in this clinic; see `count` in its configuration")
    for one in chosen:
        if sum(other.kind == one.kind for other in chosen) == 1:
            say(f"{one.name} is the only {one.kind}: nobody stands in for it meanwhile")
        _one(data, one)
    say(f"{len(chosen)} restarted, one after the other")


def _one(data: Path, one: Running) -> None:
    began, clinic = time.monotonic(), _clinic(data)
    told = ask(clinic, clinic.supervisor, "POST", "/restart", name=one.name)
    before, within = told["pid"], told["within"] + STARTS
    _wait(lambda: _pid(data, one.name) not in (None, before), within, f"{one.name} does not end")
    remedy = "its lines in the output of `caremesh up` say why; the rest is left as it is"
    for pause in (NOTICED, 0.0):  # what is found at once may still be said of the old one
        _wait(lambda: _serves(_clinic(data), one), SERVES, f"{one.name} does not serve again: {remedy}")
        time.sleep(pause)
    say(f"{one.name}: pid {before} → {_pid(data, one.name)}, {time.monotonic() - began:.1f} s")


def _wait(holds: Callable[[], bool], seconds: float, otherwise: str) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Refused(otherwise)
        time.sleep(EVERY)


def _serves(clinic: State, one: Running) -> bool:
    if one.kind == "gateway":
        return _ready(one.address)
    if one.kind in DATABASES:
        return all(_sees(other.address, one) for other in clinic.processes if other.kind == "gateway")
    return _listens(one.address)


def _sees(gateway: str, service: Running) -> bool:
    """Whether the gateway would call it."""
    try:
        services = health(gateway)["services"]
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return False
    return any(
        endpoint["address"] == service.address and endpoint["probe"] == "serving" and endpoint["available"]
        for each in services
        for endpoint in each["endpoints"]
    )


def _ready(gateway: str) -> bool:
    connection = http.client.HTTPConnection(gateway, timeout=ANSWER)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWER):
            return True
    except OSError:
        return False


def _clinic(data: Path) -> State:
    clinic = state.running(data)
    if clinic is None:
        raise Refused(f"no clinic runs on {data}; `caremesh up` starts it")
    return clinic


def _pid(data: Path, name: str) -> int | None:
    return next(one.pid for one in _clinic(data).processes if one.name == name)


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Two at a time would take two processes away at a time."""
    _clinic(data)
    descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refused("another `caremesh restart` is at work here; wait for it") from None
    finally:
        os.close(descriptor)
