"""Which port a process gets, and who is named when it is another's."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from caremesh.up.ports import HOST, Ports, bind, holder

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")


@contextmanager
def listening() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


@LINUX
def test_who_holds_a_taken_port_is_named() -> None:
    """Told only that an address is in use, people go searching; a name and a pid spare them that."""
    code = (
        "import socket,sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert (holder(int(other.stdout.readline())) or "").endswith(f"(pid {other.pid})")
        other.communicate(b"\n")


def test_the_next_free_port_is_taken_and_the_taken_one_is_told() -> None:
    """Another program on 8080 must not keep the clinic from starting."""
    notes: list[str] = []
    with listening() as taken:
        ports = Ports()
        assert ports.take(taken, notes) > taken
        ports.close()
    assert notes[0].startswith(f"port {taken} is taken by ")
    assert sys.platform != "linux" or f"(pid {os.getpid()})" in notes[0]


def test_no_port_is_given_twice() -> None:
    """Ranges of kinds may meet: a hundred records services reach into the prescriptions' ports."""
    ports, notes = Ports(), list[str]()
    with listening() as start:
        pass
    taken = [ports.take(start, notes) for _ in range(5)]
    assert len(set(taken)) == 5
    ports.close()


def test_two_clinics_that_start_at_once_take_different_ports() -> None:
    """Neither listens yet when the other looks: found when two were started in the same second."""
    with listening() as start:
        pass
    one, other, notes = Ports(), Ports(), list[str]()
    first = one.take(start, notes)
    assert other.take(first, notes) != first
    assert sys.platform != "linux" or f"port {first} is taken by " in notes[-1] or len(notes) > 1
    assert sys.platform != "linux" or f"(pid {os.getpid()})" in notes[-1]
    one.close()
    other.close()


@LINUX
def test_a_reserved_port_is_given_to_nobody_but_its_server() -> None:
    """Between two starts of a process its port must not become another connection's."""
    ports = Ports()
    port = ports.take(0, [])
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind((HOST, port))
    with bind(port) as server:  # as servers bind
        server.listen()
        with socket.create_connection((HOST, port)) as client:
            assert client.getpeername()[1] == port
    ports.close()
