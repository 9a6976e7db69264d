"""One set of processes on one data folder, and everybody can tell which."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from caremesh import state
from tests.fakes.waiting import wait_until

GATEWAY = state.Running("gateway.1", "gateway", 7, "127.0.0.1:1", "127.0.0.1:2")
MINE = state.State(os.getpid(), "http://127.0.0.1:1", "a token", (GATEWAY,))


def test_a_second_start_is_told_who_runs_and_where(tmp_path: Path) -> None:
    """Two supervisors on one data folder would be two writers on one database."""
    with state.locked(tmp_path):
        state.write(tmp_path, MINE)
        with pytest.raises(state.AlreadyRunning, match=rf"pid {os.getpid()}, gateway at http://127.0.0.1:1"):
            state.locked(tmp_path).__enter__()
        assert state.running(tmp_path) == MINE
    assert state.running(tmp_path) is None
    with state.locked(tmp_path):
        assert state.read(tmp_path) is None


def test_the_state_is_for_its_owner_only(tmp_path: Path) -> None:
    """Others on the machine have no business with its pids."""
    state.write(tmp_path, MINE)
    assert stat.S_IMODE((tmp_path / state.STATE).stat().st_mode) == 0o600


def test_what_a_killed_supervisor_left_behind_does_not_count_as_running(tmp_path: Path) -> None:
    """The file survives a SIGKILL, the lock does not."""
    state.write(tmp_path, MINE)
    (tmp_path / state.LOCK).touch()
    assert state.running(tmp_path) is None


def test_the_data_stays_locked_until_the_last_child_has_ended(tmp_path: Path) -> None:
    """The children of a killed supervisor still write for a moment: no second set may start then."""
    with state.locked(tmp_path) as descriptor:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[descriptor])
    with child:
        with pytest.raises(state.AlreadyRunning):
            state.locked(tmp_path).__enter__()
        child.communicate(b"\n")
    with state.locked(tmp_path):
        assert (tmp_path / state.LOCK).exists()


def test_a_process_that_has_ended_and_was_not_waited_for_is_not_alive() -> None:
    """In a container without an init a killed supervisor's children stay as zombies for good."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert state.alive(child.pid)
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: not state.alive(child.pid))
        assert child.wait() == -signal.SIGKILL


def test_a_file_that_was_cut_short_is_as_none(tmp_path: Path) -> None:
    """A full disk must not keep commands from starting."""
    (tmp_path / state.STATE).write_text('{"pid": 7, "gate')
    assert state.read(tmp_path) is None
