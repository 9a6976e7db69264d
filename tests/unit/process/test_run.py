"""A process runs until it is told to stop, and then ends in time."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caremesh.control import ask
from caremesh.state import Running, State
from process.control import ControlPort
from process.run import Stop

ROOT = Path(__file__).parents[3]
ORDERLY = """
import asyncio, sys
from process.run import run
async def main(stop):
    print("up", flush=True)
    await stop.wait()
    print("hurried" if stop.hurried else "orderly", flush=True)
    await asyncio.sleep({rest})
sys.exit(run(main))
"""
STUCK = """
import sys, time
from process.run import run
async def main(stop):
    print("up", flush=True)
    time.sleep(60)
sys.exit(run(main))
"""


def start(code: str, **options: object) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )  # type: ignore[call-overload]
    assert process.stdout.readline() == "up\n"
    return process  # type: ignore[no-any-return]


def test_a_signal_ends_it_in_order_and_a_second_one_at_once() -> None:
    """Ctrl-C is orderly; Ctrl-C twice is a person who wants it to end now."""
    process = start(ORDERLY.format(rest=0))
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=10)
    assert (out, process.returncode) == ("orderly\n", 0)

    process = start(ORDERLY.format(rest=60))
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "hurried\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGINT


def test_a_supervisor_that_ends_everything_has_it_hurry() -> None:
    """Nobody is left to whom callers could go, so nobody waits for them to go."""
    process = start(ORDERLY.format(rest=0))
    process.send_signal(signal.SIGUSR1)
    out, _ = process.communicate(timeout=10)
    assert (out, process.returncode) == ("hurried\n", 0)


async def test_the_control_port_has_it_drain() -> None:
    """As SIGTERM does, for whoever cannot send signals."""
    stop, control = Stop(), ControlPort(0, "a token of sixteen")
    stop.steered_by(control)
    async with control:
        running = Running("one", "one", 1, "", control.address)
        state = State(1, "", "a token of sixteen", ())
        assert await asyncio.to_thread(ask, state, running, "POST", "/drain") == {"draining": True}
    assert (stop.is_set(), stop.hurried) == (True, False)


def orphan(code: str) -> tuple[str, int, float]:
    ours, theirs = os.pipe()
    try:
        process = start(code, pass_fds=[ours], env={**os.environ, "CAREMESH_PARENT_FD": str(ours)})
    finally:
        os.close(ours)
    gone = time.monotonic()
    os.close(theirs)
    out, _ = process.communicate(timeout=10)
    return out, process.returncode, time.monotonic() - gone


def test_it_ends_when_its_parent_is_gone_even_with_its_loop_stuck() -> None:
    """A killed supervisor must leave no process behind that holds its ports."""
    assert orphan(ORDERLY.format(rest=0))[:2] == ("hurried\n", 0)
    assert orphan(ORDERLY.format(rest=60))[:2] == ("hurried\n", 1)
    assert orphan(STUCK)[:2] == ("", 1)


def test_settings_that_are_wrong_end_it_with_their_text_and_no_traceback() -> None:
    """A typing error is told in words."""
    code = """
import sys
from process.run import run
from process.settings import SettingsError
async def main(stop):
    raise SettingsError("CAREMESH_PORT: mend it")
sys.exit(run(main))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "CAREMESH_PORT: mend it\n")


@pytest.mark.parametrize("module", ["gateway", "caremesh.registry"])
def test_a_taken_port_is_a_failure_and_no_wrong_setting(module: str) -> None:
    """The supervisor tries again after a failure and gives everything up for a setting; a port may be free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {**os.environ, "CAREMESH_PORT": str(port)}
        line = [sys.executable, "-m", module]
        ended = subprocess.run(line, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use); choose a free port" in ended.stderr
    assert "Traceback" not in ended.stderr
