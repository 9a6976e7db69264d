"""An acknowledged write is on the disk: its fsync has ended before its answer leaves the process.

`kill -9` cannot show this: what was written and never synced outlives the process, though not the machine. So the
services run under strace and write, one write at a time and several at once, over a connection that carries no reads.
"""

import asyncio
import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mesh.clock import SystemClock
from mesh.transport import Transport, split_address
from protos.codec import Codec
from tests.faults.alone import Writer, service
from tests.faults.report import Report, Scenario
from tests.faults.strace import READS, SYNCS, WRITES, Call, calls, traced

TIMES = 1_000  # writes of each service
AT_ONCE = 8
CHECK = "fsync before the answer"
LOG_HEADER = 32  # bytes; what else is written to SQLite's log is smaller, or pages. sqlite.org/fileformat2.html
# RFC 9113: 3.4, 4.1 and 6
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEAD, HEADERS, DATA, END_STREAM = 9, 1, 0, 0x1


def run(scenario: Scenario) -> Report:
    """Real services on SQLite, each under strace."""
    figures, broken, times = dict[str, int](), list[str](), scenario.size(TIMES)
    for name in ("records", "prescriptions"):
        scenario.tell(f"{times:,} writes of {name}")
        told = written_and_judged(name, scenario.folder / name, times)
        figures |= {f"{name}: answers": told.answers, f"{name}: commits synced": told.commits}
        broken += [f"{name}, {CHECK}: {each}" for each in told.broken]
        if told.answers != times:
            broken.append(f"{name}: {times} writes were acknowledged and {told.answers} answers were seen")
    return Report(figures, broken)


@dataclass
class Judged:
    """What a trace says.

    Attributes:
        answers: to writes, that left.
        commits: that were synced.
        broken: answers that left too early.
    """

    answers: int = 0
    commits: int = 0
    broken: list[str] = field(default_factory=list)


def written_and_judged(name: str, folder: Path, times: int, settings: Mapping[str, str] | None = None) -> Judged:
    """A service acknowledges so many writes, half of them one by one, and its trace is judged."""

    async def write(address: str) -> None:
        transport = Transport(address, Codec(), SystemClock())
        try:
            await Writer(name, 1, transport).write(times - times // 2)
            shares = [len(range(each, times // 2, AT_ONCE)) for each in range(AT_ONCE)]
            await asyncio.gather(*(Writer(name, 2 + each, transport).write(share) for each, share in enumerate(shares)))
        finally:
            transport.close()

    trace = folder / "trace"
    with service(name, folder, settings) as (process, address):
        assert process.running
        with traced(process.running.pid, trace):
            asyncio.run(write(address))
            _gone_on(address)
    with trace.open() as lines:
        return judge(calls(lines))


def _gone_on(address: str) -> None:
    """Returns once the service does something else.

    Its last answer may be here before it is back from sending it, and strace shows no call that it did not see end.
    """
    with socket.create_connection(split_address(address), timeout=10) as link:
        assert link.recv(1)  # its SETTINGS


def judge(made: Sequence[Call]) -> Judged:
    """Holds every answer against the syncs that had ended when it left.

    An answer is too early when no commit was synced since its request was read, or when more answers have left than
    commits were synced, since each write has a commit of its own.
    """
    judging = _Judging()
    moments = []
    for call in made:
        if call.file.endswith("-wal") and call.name in SYNCS:
            moments += [(call.began, judging.sync_begun, call), (call.ended, judging.synced, call)]
        elif call.file.endswith("-wal") and call.name in WRITES:
            moments.append((call.ended, judging.logged, call))
        elif call.file.startswith("socket:") and call.name in READS:
            moments.append((call.ended, judging.received, call))
        elif call.file.startswith("socket:") and call.name in WRITES:
            moments.append((call.began, judging.sent, call))
    for _, take, call in sorted(moments, key=lambda moment: moment[0]):
        take(call)
    return judging.told


class _Judging:
    """Takes calls in their order."""

    def __init__(self) -> None:
        self.told = Judged()
        self._pages, self._pages_synced = 0, 0
        self._pages_when_begun = dict[int, int]()
        self._received, self._sent = defaultdict[str, bytes](bytes), defaultdict[str, bytes](bytes)
        self._asked = dict[tuple[str, int], int]()  # connection and stream → commits synced when it was read

    def logged(self, call: Call) -> None:
        self._pages += call.result > LOG_HEADER

    def sync_begun(self, call: Call) -> None:
        self._pages_when_begun[id(call)] = self._pages

    def synced(self, call: Call) -> None:
        covered = self._pages_when_begun.pop(id(call))
        if call.result == 0 and covered > self._pages_synced:
            self._pages_synced = covered
            self.told.commits += 1

    def received(self, call: Call) -> None:
        self._received[call.file] += call.data[: max(0, call.result)]
        if not self._received[call.file].startswith(PREFACE):  # nobody who calls
            return
        frames, rest = _frames(self._received[call.file][len(PREFACE) :])
        self._received[call.file] = PREFACE + rest
        for kind, flags, stream in frames:
            if kind == DATA and flags & END_STREAM:
                self._asked[call.file, stream] = self.told.commits

    def sent(self, call: Call) -> None:
        frames, self._sent[call.file] = _frames(self._sent[call.file] + call.data[: max(0, call.result)])
        for kind, _, stream in frames:
            before = self._asked.pop((call.file, stream), None)
            if kind == HEADERS and before is not None:
                self._answered(before)

    def _answered(self, commits_before: int) -> None:
        told = self.told
        told.answers += 1
        if told.commits == commits_before:
            told.broken.append(f"answer {told.answers} left, and nothing was synced since its request was read")
        elif told.commits < told.answers:
            told.broken.append(f"answer {told.answers} left when {told.commits} commits were synced")


def _frames(sent: bytes) -> tuple[list[tuple[int, int, int]], bytes]:
    """Kind, flags and stream of every whole HTTP/2 frame, and what follows them."""
    found = []
    while len(sent) >= FRAME_HEAD:
        length = FRAME_HEAD + int.from_bytes(sent[:3])
        if len(sent) < length:
            break
        found.append((sent[3], sent[4], int.from_bytes(sent[5:FRAME_HEAD])))
        sent = sent[length:]
    return found, sent
