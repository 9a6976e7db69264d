"""Sets up traces and logs of one process."""

import asyncio
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TextIO

from mesh.events import Events
from observability.export import Delivery, otlp_exporter
from observability.hooks import Hooks
from observability.logs import LEVELS, Logs
from observability.narration import narrate
from observability.rpc import RpcSpans
from observability.tracing import Tracing
from process.control import Arguments, ControlPort, Refused

__all__ = ["Observability", "setup"]


class Observability:
    """Traces and logs of a process, from entering to leaving; leaving takes at most 0.8 s.

    Attributes:
        tracing: makes the spans.
    """

    def __init__(self, tracing: Tracing, delivery: Delivery | None, logs: Logs) -> None:
        self.tracing = tracing
        self._delivery, self._logs, self._hooks = delivery, logs, Hooks()

    def steered_by(self, control: ControlPort) -> None:
        """The least level that is logged can be read and changed while the process runs."""
        control.on("GET", "/log-level", self._level)
        control.on("PUT", "/log-level", self._hear)

    async def _level(self, _: Arguments) -> Any:
        return {"level": self._logs.level}

    async def _hear(self, asked: Arguments) -> Any:
        level = asked.get("level")
        if not isinstance(level, str) or level not in LEVELS:
            raise Refused(HTTPStatus.BAD_REQUEST, f'send {{"level": …}} with one of {", ".join(LEVELS)}')
        self._logs.hear(level)
        return {"level": level}

    def __enter__(self) -> Self:
        self._logs.start()
        self._hooks.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._delivery:
            self._delivery.shutdown()
        self._hooks.stop(error)
        self._logs.stop()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._delivery:
            await asyncio.to_thread(self._delivery.shutdown)
        self.__exit__(kind, error, trace)


def setup(
    *,
    process: str,
    service: str,
    events: Events,
    log_level: str = "info",
    log_format: str = "text",
    otlp_endpoint: str = "",
    stream: TextIO | None = None,
) -> Observability:
    """Traces and logs of one process, to be entered before it works.

    Args:
        process: the name of this process among others of its kind, as "gateway.1".
        service: the kind, as "gateway".
        events: the mesh's events; spans and log lines are made from them.
        log_level: debug, info, warning or error.
        log_format: "text" or "json".
        otlp_endpoint: the collector's address, as "http://127.0.0.1:4318"; "" exports nothing.
        stream: where log lines go; standard error by default.
    """
    delivery = Delivery(otlp_exporter(otlp_endpoint), otlp_endpoint) if otlp_endpoint else None
    tracing = Tracing(service, process, delivery)
    # Lines first: while the span of a call is still there, so that its line carries the trace.
    events.subscribe(narrate)
    events.subscribe(RpcSpans(tracing))
    return Observability(tracing, delivery, Logs(process, log_level, log_format, stream))
