"""Log lines tell what happened and never what a client sent."""

import asyncio
import gc
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest

from mesh.events import BreakerChanged, Events, ServerEnded, ServerStarted
from observability.logs import Logs, log_call, log_request
from observability.setup import setup

MARK = "XMARKX"


@pytest.fixture
def text() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    with setup(process="gateway.1", service="gateway", events=Events(), stream=stream):
        yield stream


def fail(error: Exception, cause: Exception | None = None) -> None:
    raise error from cause


def broken() -> Exception:
    try:
        fail(ValueError(MARK))
    except ValueError as error:
        return error
    raise AssertionError


def nested() -> Exception:
    try:
        fail(RuntimeError(MARK), broken())
    except RuntimeError as error:
        return error
    raise AssertionError


def test_a_request_is_one_line_with_its_route_and_ids(text: io.StringIO) -> None:
    log_request("GET", "/records/{id}", 200, 0.0123, "abc", "f" * 32)
    (line,) = text.getvalue().splitlines()
    assert line.endswith(f"GET /records/{{id}} 200 ms=12.3 request_id=abc trace_id={'f' * 32}")
    assert "gateway.1" in line


def test_an_invented_method_or_a_damaged_request_id_is_not_told(text: io.StringIO) -> None:
    """Both are texts that a client sent; a gRPC client's request-id has passed no gateway."""
    log_request(MARK, "", 405, 0.01, f"{MARK} and more")
    log_call("/s/m", "OK", 0.01, f"{MARK}\n", None)
    assert MARK not in text.getvalue()
    assert "_OTHER (no route) 405" in text.getvalue()


def test_json_lines_hold_the_same_as_fields() -> None:
    """For programs that read logs: every field by name, and one object a line."""
    stream = io.StringIO()
    logs = Logs("gateway.1", "info", "json", stream)
    logs.start()
    log_request("GET", "", 404, 0.001, "abc")
    log_call("/caremesh.v1.S/M", "INTERNAL", 0.002, "def", "ValueError at service.py:3")
    logs.stop()
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["method"], first["route"], first["status"], first["ms"]) == ("GET", "(no route)", 404, 1.0)
    assert (first["level"], second["level"]) == ("info", "error")
    assert (second["rpc"], second["exception"]) == ("caremesh.v1.S/M", "ValueError at service.py:3")
    assert second["request_id"] == "def"
    assert first["time"].endswith("Z")


def test_probes_of_the_supervisor_are_told_at_debug_only(text: io.StringIO) -> None:
    log_request("GET", "/livez", 200, 0.001, "abc")
    assert text.getvalue() == ""


def test_an_exception_is_printed_by_type_and_place_only(text: io.StringIO) -> None:
    """As argument, as message and as exc_info: its text may hold what a client sent."""
    log = logging.getLogger("gateway.somewhere")
    log.warning("failed: %s", broken())
    log.warning("failed: %(error)s", {"error": broken()})
    log.warning(broken())
    log.error("failed", exc_info=nested())
    said = text.getvalue()
    assert MARK not in said
    assert said.count("ValueError at test_logs.py:") == 4
    assert "RuntimeError at test_logs.py:" in said


def test_the_members_of_an_exception_group_are_named(text: io.StringIO) -> None:
    logging.getLogger("mesh.x").error("failed: %s", ExceptionGroup(MARK, [nested(), KeyError(MARK)]))
    said = text.getvalue()
    assert MARK not in said
    assert all(kind in said for kind in ("ExceptionGroup", "RuntimeError", "ValueError", "KeyError"))


@pytest.mark.parametrize(
    "library", ["grpclib.server", "quart.app", "uvicorn.error", "sqlalchemy.engine", "asyncio", "x"]
)
def test_of_a_librarys_record_only_the_place_is_told(text: io.StringIO, library: str) -> None:
    """Quart puts the path into its message, SQLAlchemy parameters, grpclib the traceback: none of it is printed."""
    logging.getLogger(library).error(f"Exception on request GET /records/{MARK}", exc_info=broken())  # noqa: G004
    logging.getLogger(library).error("%s [%r]", MARK, {"patient": MARK})
    said = text.getvalue()
    assert MARK not in said
    assert said.count(f"{library} logged something in test_of_a_librarys_record_only_the_place_is_told") == 2
    assert "exception=ValueError at test_logs.py:" in said


def test_a_record_that_cannot_be_formatted_prints_nothing_to_stderr(
    text: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python's logging would print the arguments beside the traceback."""
    logging.getLogger("mesh.x").error("%d", MARK)
    assert MARK not in text.getvalue() + capsys.readouterr().err


def test_control_characters_cannot_make_a_second_line(text: io.StringIO) -> None:
    logging.getLogger("mesh.x").warning("a\nb\r\x1b[2Jc\u2028d")
    assert len(text.getvalue().splitlines()) == 1
    assert "\x1b" not in text.getvalue()


async def test_an_exception_that_nobody_caught_in_a_task_or_callback_is_told_without_its_text() -> None:
    stream = io.StringIO()

    async def fails() -> None:
        raise ValueError(MARK)

    def calls_back(argument: str) -> None:
        raise KeyError(argument)

    async with setup(process="p", service="s", events=Events(), stream=stream):
        task = asyncio.create_task(fails())
        await asyncio.wait([task])
        del task
        gc.collect()
        asyncio.get_running_loop().call_soon(calls_back, MARK)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    asyncio.get_running_loop().set_exception_handler(None)
    said = stream.getvalue()
    assert MARK not in said
    assert "Task exception was never retrieved: ValueError at test_logs.py:" in said
    assert "an exception in a callback: KeyError at test_logs.py:" in said


def test_what_ends_a_thread_a_finalizer_or_the_process_is_told_without_its_text(
    text: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    class Bad:
        def __del__(self) -> None:
            raise ValueError(MARK)

    def fails() -> None:
        raise TypeError(MARK)

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    del_me = Bad()
    del del_me
    sys.excepthook(RuntimeError, nested(), None)
    warnings.showwarning(MARK, UserWarning, f"/{MARK}/x.py", 3)
    said = text.getvalue()
    assert MARK not in said + capfd.readouterr().err
    assert all(kind in said for kind in ("TypeError", "ValueError", "RuntimeError", "UserWarning at x.py:3"))


def test_everything_is_given_back_at_the_end() -> None:
    """A program or test that sets up and leaves finds its interpreter as it was."""
    root = logging.getLogger()
    before = root.level, list(root.handlers), sys.excepthook, threading.excepthook, warnings.showwarning
    with setup(process="p", service="s", events=Events(), stream=io.StringIO()):
        assert sys.excepthook is not before[2]
    assert (root.level, list(root.handlers), sys.excepthook, threading.excepthook, warnings.showwarning) == before


def test_the_mesh_tells_calls_and_changes_of_state_but_not_its_housekeeping() -> None:
    events, stream = Events(), io.StringIO()
    with setup(process="p", service="s", events=events, stream=stream):
        for method in ("/caremesh.v1.S/Get", "/grpc.health.v1.Health/Check"):
            events.emit(ServerEnded(ServerStarted(method, {"request-id": "r7"}), "OK", "", 0.5, None))
        events.emit(BreakerChanged("records", "127.0.0.1:5", "closed", "open", "5 failures in a row"))
    call, breaker = stream.getvalue().splitlines()
    assert "caremesh.v1.S/Get OK ms=500.0 request_id=r7" in call
    assert "warning: records: breaker of 127.0.0.1:5 closed → open (5 failures in a row)" in breaker
