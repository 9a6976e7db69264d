"""Plants exceptions in a real process: Python imports a module of this name at its start when the path has it.

Each plant wraps one function of one layer. A call that carries the words `BOOM-<layer>-` raises an exception
whose text is all that the call carried, patient data included; and the layer's name is noted in the file
that CAREMESH_TEST_BOOMS names, so that a test knows that it went off.
"""

import asyncio
import functools
import inspect
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.fakes.planting import plant_on_import

MARK = "XMARKX"

# layer → module, function, and where it goes off: in the call, in a task or thread or callback begun by it.
PLANTS = {
    "edge": ("gateway.http.edge", "Edge._check", "call"),
    "schema": ("gateway.http.bodies", "parse", "call"),
    "route": ("gateway.routes.collection", "_Routes.create", "call"),
    "upstream": ("gateway.upstreams", "Upstream._call", "call"),
    "client": ("mesh.client", "ServiceClient.call", "call"),
    "listener": ("observability.rpc", "RpcSpans._attempt_started", "call"),
    "transport": ("mesh.transport", "Transport.__call__", "call"),
    "encode": ("protos.codec", "Codec.encode", "call"),
    "decode": ("protos.codec", "Codec.decode", "call"),
    "answer": ("gateway.routes.collection", "_json", "call"),
    "service": ("svc_records.service", "RecordsService.post_patient_records", "call"),
    "domain": ("svc_records.domain", "created", "call"),
    "repository": ("storage.documents", "Documents.add", "call"),
    "columns": ("storage.shape", "Shape.columns", "call"),
    "reply": ("svc_records.service", "_message", "call"),
    "task": ("svc_records.service", "RecordsService.post_patient_records", "task"),
    "callback": ("svc_records.service", "RecordsService.post_patient_records", "callback"),
    "thread": ("svc_records.service", "RecordsService.post_patient_records", "thread"),
    "finalizer": ("gateway.upstreams", "Upstream._call", "finalizer"),
    "supervisor": ("caremesh.up.stream", "Stream.line", "call"),
}


def carried(value: Any, depth: int = 4) -> str:
    """All texts in a value, as far as repr and a look inside tell."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    found = repr(value)
    if depth and hasattr(value, "__dict__"):
        found += "".join(carried(inner, depth - 1) for inner in vars(value).values())
    return found


def explode(layer: str, words: str) -> None:
    with Path(os.environ["CAREMESH_TEST_BOOMS"]).open("a", encoding="utf-8") as noted:
        noted.write(f"{layer}\n")
    raise ValueError(f"{MARK} {words}")


class Finalized:
    def __init__(self, explode: Callable[[], None]) -> None:
        self._explode = explode

    def __del__(self) -> None:
        self._explode()


def set_off(layer: str, how: str, words: str) -> None:
    boom = functools.partial(explode, layer, words)
    if how == "call":
        boom()
    elif how == "task":
        waiting.add(asyncio.create_task(later(boom)))
    elif how == "callback":
        asyncio.get_running_loop().call_soon(explode, layer, words)
    elif how == "thread":
        threading.Thread(target=boom, name="planted").start()
    elif how == "finalizer":
        Finalized(boom)


waiting: set[asyncio.Task[None]] = set()


async def later(boom: Callable[[], None]) -> None:
    # Nobody ever asks for this task's result, and nothing keeps it alive.
    waiting.clear()
    boom()


def planted(layer: str, how: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def look(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        words = "".join(carried(one) for one in (*arguments, *named.values()))
        if f"BOOM-{layer}-" in words:
            set_off(layer, how, words)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waited(*arguments: Any, **named: Any) -> Any:
            look(arguments, named)
            return await function(*arguments, **named)

        return waited

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        look(arguments, named)
        return function(*arguments, **named)

    return called


def plant(module: ModuleType) -> None:
    for layer, (name, path, how) in PLANTS.items():
        if name == module.__name__:
            *owners, last = path.split(".")
            owner = functools.reduce(getattr, owners, module)
            setattr(owner, last, planted(layer, how, getattr(owner, last)))


if "CAREMESH_TEST_BOOMS" in os.environ:
    plant_on_import({name: plant for name, _, _ in PLANTS.values()})
