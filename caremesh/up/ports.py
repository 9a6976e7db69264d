"""Ports of 127.0.0.1: is one free, who holds it, which is the next."""

import contextlib
import errno
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

HOST = "127.0.0.1"
_LISTEN = "0A"  # TCP_LISTEN in the kernel's include/net/tcp_states.h
# On Linux a bound socket that does not listen keeps its port from everybody but those who bind it by number
# with SO_REUSEADDR, as servers do: so a port stays reserved while its process is down. Another supervisor could
# reserve it as well, hence the name beside it: abstract names (unix(7)) have one owner, and end with it. Other
# systems refuse the second bind, and have no such names.
_HOLDS = sys.platform == "linux"
_NAME = f"caremesh/{HOST}:"


class Ports:
    """Reserves ports until `close`, so that nothing else is given them between two starts of a process."""

    def __init__(self) -> None:
        self._held: dict[int, list[socket.socket]] = {}

    def take(self, wanted: int, notes: list[str]) -> int:
        """Reserves the wanted port or the next free one (0: any), noting who holds those that are taken.

        Raises:
            OSError: when none is left.
        """
        for port in range(wanted, 65536) if wanted else [0]:
            try:
                return self._hold(port)
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                if port not in self._held:
                    notes.append(_why(port, error))
        raise OSError(errno.EADDRINUSE, f"no port from {wanted} to 65535 is free on {HOST}")

    def close(self) -> None:
        """Gives all of them back."""
        for sockets in self._held.values():
            for one in sockets:
                one.close()
        self._held.clear()

    def _hold(self, wanted: int) -> int:
        if wanted in self._held:  # one of ours: bound by number it could be shared
            raise OSError(errno.EADDRINUSE, "reserved already")
        with contextlib.ExitStack() as undo:
            one = undo.enter_context(bind(wanted))
            port = int(one.getsockname()[1])
            self._held[port] = [one, _name(port)] if _HOLDS else []
            if _HOLDS:
                undo.pop_all()
        return port


def bind(port: int) -> socket.socket:
    """A socket bound there as servers do it.

    Raises:
        OSError: EADDRINUSE when somebody listens there, EACCES when this user may not.
    """
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind((HOST, port))
    except OSError:
        one.close()
        raise
    return one


def _name(port: int) -> socket.socket:
    """Owns the port's name.

    Raises:
        OSError: EADDRINUSE when another supervisor does.
    """
    one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        one.bind(f"\0{_NAME}{port}")
    except OSError:
        one.close()
        raise
    return one


def _why(port: int, error: OSError) -> str:
    if error.errno == errno.EACCES:
        return f"port {port} is not for this user"
    return f"port {port} is taken by {holder(port) or 'a process that cannot be seen from here'}"


def holder(port: int) -> str | None:
    """Who listens on the port or has reserved it, e.g. "python3 -m http.server 8080 (pid 4711)".

    None where /proc does not tell.
    """
    inodes = set(_listening(port))
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(_socket(link) in inodes for link in (process / "fd").iterdir()):
                return f"{_command(process)} (pid {process.name})"
    return None


def _listening(port: int) -> Iterator[str]:
    """The sockets that listen on the port or own its name, as proc(5) lists them."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/unix").read_text().splitlines():
            if line.endswith(f" @{_NAME}{port}"):
                yield f"socket:[{line.split()[6]}]"
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{fields[9]}]"


def _socket(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed meanwhile
        return ""


def _command(process: Path) -> str:
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    return " ".join(words).strip()[:80]
