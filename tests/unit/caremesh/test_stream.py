"""One readable stream of many processes, which no reader can hold up."""

import io
import threading
from collections.abc import Callable

from caremesh.up.stream import WAITING, Stream
from tests.fakes.waiting import wait_until


def shown(write: Callable[[Stream], object]) -> str:
    out = io.StringIO()
    stream = Stream(out, ["records.1", "gateway.1"], broken=lambda: None)
    write(stream)
    stream.close()
    return out.getvalue()


def test_each_line_has_its_process_before_it_and_nothing_that_steers_a_terminal() -> None:
    """What a client sent may be in a line: an escape sequence in it must not reach the terminal."""
    text = shown(lambda stream: stream.line("records.1", "a\x1b[2Jb\rc"))
    assert text == "records.1 │ a\\x1b[2Jb\\x0dc\n"


def test_a_process_is_named_once_a_line() -> None:
    """Its log lines name it as well; the other texts of a process stay as they are."""
    text = shown(lambda stream: stream.line("gateway.1", "12:00:00.000 gateway.1       GET /x 200"))
    assert text == "gateway.1 │ 12:00:00.000 GET /x 200\n"
    assert shown(lambda stream: stream.line("gateway.1", "where is gateway.1 now")).endswith("where is gateway.1 now\n")


def test_lines_without_a_name_can_be_copied_whole() -> None:
    """The commands to paste stand there without a prefix."""
    assert shown(lambda stream: stream.lines(["  curl  x -w '\\n'"])) == "  curl  x -w '\\n'\n"


def test_a_reader_who_pauses_holds_nobody_up_and_is_told_what_was_left_out() -> None:
    """Ctrl-S in the terminal must not stop the clinic."""
    going = threading.Event()

    class Paused(io.StringIO):
        def write(self, text: str) -> int:
            going.wait()
            return super().write(text)

    out = Paused()
    stream = Stream(out, ["gateway.1"], broken=lambda: None)
    for number in range(2 * WAITING + 100):  # would never end if a line waited for the reader
        stream.line("gateway.1", str(number))
    going.set()
    wait_until(lambda: "lines are not shown" in out.getvalue())
    stream.close()


def test_a_stream_that_nobody_reads_any_more_is_told_once() -> None:
    """`caremesh up | head`: when head has gone, the clinic should end, not write into nothing."""

    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    told: list[int] = []
    stream = Stream(Gone(), ["gateway.1"], broken=lambda: told.append(1))
    stream.line("gateway.1", "x")
    wait_until(lambda: told)
    stream.line("gateway.1", "y")
    stream.close()
    assert told == [1]
