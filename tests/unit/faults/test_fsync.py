"""Which answers are too early, told by traces made by hand: a process that never errs shows nothing of that."""

import pytest

from tests.faults.fsync import PREFACE, judge
from tests.faults.strace import calls

LOG, OTHER, CALLER = "/x/records.db-wal", "/x/records.db", "socket:[7]"
PAGE, LOG_START = b"p" * 4096, b"h" * 32


def shown(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


def begun(name: str, file: str, data: bytes = b"", *, thread: int = 1) -> str:
    moved = f', "{shown(data)}", {len(data)}' if data else ""
    return f"{thread:<5} {name}(5<{shown(file.encode())}>{moved}"


def whole(name: str, file: str, data: bytes = b"", *, thread: int = 1, result: int | None = None) -> str:
    return f"{begun(name, file, data, thread=thread)}) = {len(data) if result is None else result}"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"x") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def asked(*streams: int) -> str:
    frames = b"".join(frame(1, 4, stream) + frame(0, 1, stream) for stream in streams)
    return whole("read", CALLER, (PREFACE if 1 in streams else b"") + frames)


def answered(stream: int) -> str:
    return whole("write", CALLER, frame(1, 4, stream) + frame(0, 0, stream) + frame(1, 5, stream))


WRITTEN, SYNCED = whole("pwrite64", LOG, PAGE, thread=2), whole("fdatasync", LOG, thread=2)
SYNC_BEGUN, SYNC_ENDED = f"{begun('fdatasync', LOG, thread=2)} <unfinished ...>", "2     <... fdatasync resumed>) = 0"
SOUND = [asked(1), WRITTEN, SYNCED, answered(1), asked(3), WRITTEN, SYNCED, answered(3)]


def test_an_answer_after_its_sync_is_in_time() -> None:
    """A rule that cries wolf is switched off."""
    told = judge(calls(SOUND))
    assert (told.answers, told.commits, told.broken) == (2, 2, [])


@pytest.mark.parametrize(
    ("why", "lines"),
    [
        ("nothing was synced", [asked(1), WRITTEN, answered(1)]),
        ("it was synced too late", [asked(1), WRITTEN, answered(1), SYNCED]),
        ("the sync had not ended", [asked(1), WRITTEN, SYNC_BEGUN, answered(1), SYNC_ENDED]),
        ("the sync began before there was anything", [asked(1), SYNC_BEGUN, WRITTEN, SYNC_ENDED, answered(1)]),
        ("the sync failed", [asked(1), WRITTEN, whole("fsync", LOG, thread=2, result=-1), answered(1)]),
        ("another file was synced", [asked(1), WRITTEN, whole("fsync", OTHER, thread=2), answered(1)]),
        ("no page was synced", [asked(1), whole("pwrite64", LOG, LOG_START, thread=2), SYNCED, answered(1)]),
        ("that was synced before it was asked for", [*SOUND, WRITTEN, SYNCED, asked(5), answered(5)]),
        ("one sync for two answers", [asked(1, 3), WRITTEN, SYNCED, answered(1), answered(3)]),
    ],
)
def test_an_answer_that_is_too_early_is_found(why: str, lines: list[str]) -> None:
    """Whatever it is that was left out."""
    assert len(judge(calls(lines)).broken) == 1, why


def test_an_answer_is_known_however_it_is_cut_into_pieces() -> None:
    """A socket takes as many bytes as it likes."""
    request, answer = frame(1, 4, 1) + frame(0, 1, 1), frame(1, 4, 1)
    pieces = [whole("recvfrom", CALLER, piece) for piece in (PREFACE[:5], PREFACE[5:] + request[:12], request[12:])]
    sent = [whole("sendto", CALLER, answer, result=4), whole("sendto", CALLER, answer[4:])]
    told = judge(calls([*pieces, WRITTEN, SYNCED, *sent]))
    assert (told.answers, told.broken) == (1, [])


def test_other_connections_and_answers_to_nothing_do_not_count() -> None:
    """The process calls a registry, and says its settings to everybody."""
    settings, other = whole("write", CALLER, frame(4, 0, 0)), "socket:[8]"
    registry = [whole("write", other, PREFACE + frame(1, 4, 1)), whole("read", other, frame(1, 5, 1))]
    told = judge(calls([settings, *registry, *SOUND]))
    assert (told.answers, told.broken) == (2, [])


def test_a_trace_that_was_cut_is_refused() -> None:
    """Frames that cannot be read would be answers that were never judged."""
    with pytest.raises(ValueError, match="line 2"):
        calls([WRITTEN, whole("read", CALLER, b"abc").replace('",', '"...,')])
