"""What a running process asks of the system, in the order in which it asks: strace's lines, read."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.absence import cannot_run

WHAT = "whether a write is on the disk before its answer leaves"
REMEDY = "install strace (Debian: apt-get install strace)"
MAY_NOT = "let this user trace its own processes (kernel.yama.ptrace_scope, or a container's seccomp profile)"
READS = ("read", "readv", "recvfrom", "recvmsg")
WRITES = ("write", "writev", "sendto", "sendmsg", "pwrite64", "pwritev")
SYNCS = ("fsync", "fdatasync")
LONGEST = 8192  # bytes shown of what is read or written; more than a page of the database, or a batch of answers

BEGUN = re.compile(r"(\d+) +(\w+)\(\d+<((?:\\x[0-9a-f]{2})+)>(.*)")
GONE_ON = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
RESULT = re.compile(r".* = (-?\d+)")
UNFINISHED = "<unfinished ...>"


@dataclass
class Call:
    """One system call on an open file.

    Attributes:
        name: such as "fdatasync".
        file: its path, or "socket:[…]".
        began, ended: the numbers of the lines at which it did.
        data: what it moved.
        result: what it returned.
    """

    name: str
    file: str
    began: int
    ended: int = 0
    data: bytes = b""
    result: int = 0

    def tell(self, shown: str, line: int) -> None:
        """Takes what a line shows of it."""
        texts = TEXT.findall(shown)
        if any(cut for _, cut in texts):
            raise ValueError(f"strace cut what was moved in line {line}; show more than {LONGEST} bytes")
        self.data += b"".join(_bytes(text) for text, _ in texts)
        if result := RESULT.match(shown):
            self.ended, self.result = line, int(result[1])


def calls(lines: Iterable[str]) -> list[Call]:
    """The calls that ended, as `strace -f -y -xx` shows them."""
    found, open_ = list[Call](), dict[tuple[str, str], Call]()
    for number, line in enumerate(lines, 1):
        if begun := BEGUN.match(line):
            thread, name, file, shown = begun.groups()
            found.append(Call(name, _bytes(file).decode(), began=number))
            found[-1].tell(shown, number)
            if shown.endswith(UNFINISHED):
                open_[thread, name] = found[-1]
        elif (gone_on := GONE_ON.match(line)) and (call := open_.pop((gone_on[1], gone_on[2]), None)):
            call.tell(gone_on[3], number)
    return [call for call in found if call.ended]


def _bytes(shown: str) -> bytes:
    return bytes.fromhex(shown.replace("\\x", ""))


@contextmanager
def traced(process: int, to: Path) -> Iterator[None]:
    """Writes what a process and all its threads read, write and sync to a file, while the block lasts.

    Skips the test where that is not possible.
    """
    strace = shutil.which("strace")
    if strace is None:
        cannot_run(WHAT, REMEDY)
    names = ",".join((*READS, *WRITES, *SYNCS))
    how = ["-f", "-y", "-xx", "-s", str(LONGEST), "-e", f"trace={names}", "-o", str(to), "-p", str(process)]
    with subprocess.Popen([strace, *how], stderr=subprocess.PIPE, text=True, start_new_session=True) as running:
        assert running.stderr
        if "attached" not in (told := running.stderr.readline()):
            cannot_run(f"{WHAT} ({told.strip()})", MAY_NOT)
        try:
            yield
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(10)
