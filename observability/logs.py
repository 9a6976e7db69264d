"""Log lines that never tell patient data.

What the house itself logs is printed; an exception in it, as argument or as exc_info, by type and place
only. What a library logs is never printed, since grpclib, Quart and others put an exception's text, a
request's path or a statement's parameters there: only the library, the place of the log call and the
exception's type and place.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from mesh.events import whence
from observability.current import trace_id as present_trace_id

log = logging.getLogger("observability.request")

HOUSE = frozenset(
    {
        "benchmarks",
        "caremesh",
        "gateway",
        "hosting",
        "mesh",
        "observability",
        "process",
        "protos",
        "storage",
        "svc_prescriptions",
        "svc_records",
    }
)
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# Their complaints about a collector that is away: observability.export tells them once a minute, with a remedy.
_SILENT = ("opentelemetry", "requests", "urllib3")
# Answered each second for the supervisor and for container engines.
PROBES = frozenset({"/livez", "/readyz"})
# What a request's message already says.
_IN_MESSAGE = frozenset({"method", "route", "rpc", "status"})
# RFC 9110 and PATCH; any other word is a client's text.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def log_request(method: str, route: str, status: int, seconds: float, request_id: str, trace_id: str = "") -> None:
    """The one line of an HTTP request.

    Args:
        method: as in the request line; an invented one is told as _OTHER.
        route: the route's template, never the path; "" where none matched.
        status: what the client got; 499 when it had gone.
        seconds: from the first byte of the request to the last of the answer.
        request_id: the request's id; one that is not well-formed is left out.
        trace_id: by default the present trace's.
    """
    # A probe's answer is told once, by what changed it; probes themselves come every second.
    level = logging.DEBUG if route in PROBES else logging.WARNING if status >= 500 else logging.INFO  # noqa: PLR2004
    named = {"method": method if method in METHODS else "_OTHER", "route": route or "(no route)", "status": status}
    _tell(level, named, seconds, request_id, trace_id)


def log_call(method: str, status: str, seconds: float, request_id: str, failure: str | None) -> None:
    """The one line of a gRPC call that was handled. `failure` is an exception's type and place."""
    level = logging.ERROR if failure else logging.INFO
    _tell(level, {"rpc": method.lstrip("/"), "status": status}, seconds, request_id, failure=failure or "")


def _tell(
    level: int, named: dict[str, Any], seconds: float, request_id: str, trace_id: str = "", failure: str = ""
) -> None:
    fields = named | {
        "ms": round(seconds * 1000, 1),
        "exception": failure,
        "request_id": request_id if _REQUEST_ID.fullmatch(request_id) else "",
        "trace_id": trace_id or present_trace_id(),
    }
    log.log(level, "%s", " ".join(map(str, named.values())), extra={"fields": fields})


class _Formatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """What is told of a record, in the order in which it is printed."""
        found: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": told(record),
        }
        found |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1]:
            found["exception"] = chain(record.exc_info[1])
        if not found.get("trace_id"):
            found["trace_id"] = present_trace_id()
        return {name: value for name, value in found.items() if value != ""}


class Json(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.fields(record), ensure_ascii=False, default=str)


class Text(_Formatter):
    """One readable line: time, process, level where it is not info, what happened, then name=value."""

    def format(self, record: logging.LogRecord) -> str:
        fields = self.fields(record)
        time, process, message = fields.pop("time")[11:-1], fields.pop("process"), fields.pop("message")
        level, logger = fields.pop("level"), fields.pop("logger")
        head = f"{time} {process:<15} {'' if level == 'info' else f'{level}: '}"
        where = f" [{logger}]" if record.levelno > logging.INFO and logger != log.name else ""
        rest = "".join(f" {name}={value}" for name, value in fields.items() if name not in _IN_MESSAGE)
        return _CONTROL.sub("�", f"{head}{message}{where}{rest}")


def told(record: logging.LogRecord) -> str:
    """A record's message without any exception's text; of a library's record only where it was logged."""
    if record.name.partition(".")[0] not in HOUSE:
        return f"{record.name} logged something in {record.funcName} at {record.filename}:{record.lineno}"
    if isinstance(record.args, Mapping):
        return str(record.msg) % {name: _harmless(value) for name, value in record.args.items()}
    if record.args:
        return str(record.msg) % tuple(_harmless(value) for value in record.args)
    return str(_harmless(record.msg))


def _harmless(value: Any) -> Any:
    return chain(value) if isinstance(value, BaseException) else value


def chain(error: BaseException) -> str:
    """An exception and its causes by type and place, and the members of a group."""
    return ", from ".join(whence(one) for one in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting and len(seen) < 8:  # noqa: PLR2004  # a line has its limits
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += list(one.exceptions) if isinstance(one, BaseExceptionGroup) else []
        waiting.append(one.__cause__ or (None if one.__suppress_context__ else one.__context__))


def _audible(record: logging.LogRecord) -> bool:
    ours = record.name.partition(".")[0] in HOUSE
    return ours or (record.levelno >= logging.WARNING and not record.name.startswith(_SILENT))


class Logs:
    """Sends every record of the process to one stream while entered.

    Args:
        process: the name that each line carries.
        level: one of LEVELS, for the house's own loggers; libraries are heard from warning on.
        form: "text" or "json".
        stream: standard error by default.
    """

    def __init__(self, process: str, level: str, form: str, stream: TextIO | None = None) -> None:
        self.level = level
        self._handler = logging.StreamHandler(stream or sys.stderr)
        self._handler.setFormatter(Json(process) if form == "json" else Text(process))
        self._handler.addFilter(_audible)
        self._before = logging.WARNING

    def start(self) -> None:
        root = logging.getLogger()
        self._before = root.level
        root.addHandler(self._handler)
        root.setLevel(logging.WARNING)
        self.hear(self.level)
        # What goes wrong inside logging itself would be printed with the record's arguments.
        self._raised, logging.raiseExceptions = logging.raiseExceptions, False

    def hear(self, level: str) -> None:
        """From now on the house's loggers are heard from this level on."""
        self.level = level
        for name in HOUSE:
            logging.getLogger(name).setLevel(LEVELS[level])

    def stop(self) -> None:
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._before)
        for name in HOUSE:
            logging.getLogger(name).setLevel(logging.NOTSET)
        logging.raiseExceptions = self._raised
