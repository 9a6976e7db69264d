"""How `caremesh up` begins and ends: signals, kills, taken ports, wrong settings."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from caremesh import state
from mesh.version import __version__
from tests.fakes.waiting import wait_until
from tests.upped import COMMAND, HOUSE, Up, get, posted


def test_ctrl_c_stops_all_in_order_and_a_later_start_finds_the_data(tmp_path: Path) -> None:
    """What was acknowledged before the end is there after it."""
    with Up(tmp_path) as first:
        first.ready()
        assert posted(first.gateway, "kept") == 201
        pids = first.pids()
        assert first.interrupt() == 0
        assert not any(map(state.alive, pids))
        stops = [line.split("stopped: ")[1] for line in first.lines if "stopped: " in line]
        assert stops == ["gateway", "prescriptions, records", "mail-sink, registry"]
    with Up(tmp_path) as second:
        second.ready()
        assert [one["record_text"] for one in get(f"{second.gateway}/records/31")["records"]] == ["kept"]
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(3) == 0


def slowness() -> float:
    """How many times slower than it should be this machine is now, at least 1: other tests share it."""
    began = time.monotonic()
    for _ in range(4):
        subprocess.run([sys.executable, "-S", "-c", ""], check=True)
    return max(1.0, (time.monotonic() - began) / 0.2)


def kept(promise: float, attempt: Callable[[], float]) -> bool:
    """Whether one of three attempts took at most `promise` seconds, or what these are on a machine that is busy."""
    return any(attempt() < promise * slowness() for _ in range(3))


def test_ctrl_c_takes_less_than_3_seconds_in_all(tmp_path: Path) -> None:
    """Who has to wait longer presses it again, and then nothing is in order."""

    def attempt() -> float:
        with Up(tmp_path) as up:
            up.ready()
            began = time.monotonic()
            up.interrupt()
            return time.monotonic() - began

    assert kept(3.0, attempt)


def test_children_end_within_a_second_of_their_supervisor(tmp_path: Path) -> None:
    """A killed supervisor must leave nothing behind that holds ports or data."""

    def attempt() -> float:
        with Up(tmp_path) as up:
            pids = up.ready().pids()
            up.process.kill()
            began = time.monotonic()
            wait_until(lambda: not any(map(state.alive, pids)), 10)
            return time.monotonic() - began

    assert kept(1.0, attempt)


def test_a_start_right_after_the_supervisor_was_killed_finds_the_data(tmp_path: Path) -> None:
    """It waits for the children of the killed one: two sets of processes on one data folder would be worse."""
    with Up(tmp_path) as first:
        first.ready()
        assert posted(first.gateway, "kept") == 201
        first.process.kill()
        first.process.wait()
    with Up(tmp_path) as second:
        second.ready()
        assert [one["record_text"] for one in get(f"{second.gateway}/records/31")["records"]] == ["kept"]


def test_a_taken_port_is_named_and_another_one_is_printed(tmp_path: Path) -> None:
    """8080 is everybody's favourite."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with Up(tmp_path, port=port) as up:
            up.ready()
            assert up.said(rf"port {port} is taken by .*gateway\.1 listens on (?!{port}\b)\d+")
            assert up.gateway != f"http://127.0.0.1:{port}"
            assert get(f"{up.gateway}/livez") == {"state": "alive"}


def test_a_setting_that_no_process_knows_is_named_before_anything_starts(tmp_path: Path) -> None:
    """A misspelt setting that is silently ignored is found weeks later."""
    up = Up(tmp_path)
    with up.config.open("a", encoding="utf-8") as file:
        file.write("\n[gateway.environment]\nCAREMESH_REQUEST_TIMEOUTS = 1\nCAREMESH_LOG_LEVEL = 'loud'\n")
    told = up.run("up")
    assert told.returncode == 2
    assert "did you mean CAREMESH_REQUEST_TIMEOUT?" in told.stderr
    assert "CAREMESH_LOG_LEVEL" in told.stderr
    assert told.stdout == ""


def test_the_command_tells_its_version_and_its_mistakes() -> None:
    """The version is the one of the library; a slip of the pen is answered with what was meant."""

    def caremesh(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*COMMAND, *arguments], cwd=HOUSE, capture_output=True, text=True, check=False)

    assert caremesh("--version").stdout == f"caremesh {__version__}\n"
    assert "caremesh up" in caremesh("upp").stderr
    assert caremesh("upp").returncode == 2
