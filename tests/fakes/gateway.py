"""The gateway's application in memory, between a fake client and fake services."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from gateway.http.edge import App, Message
from gateway.settings import GatewaySettings
from gateway.wiring import build
from mesh.admission import Admission
from mesh.clock import Clock, SystemClock
from observability.stories import Stories
from observability.tracing import Tracing
from tests.fakes.upstream import FakeService

JSON = {"Content-Type": "application/json"}


@dataclass
class Answer:
    """What a client got; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fields(self) -> list[str]:
        """The fields that a 400 names."""
        return [error["field"] for error in self.json["errors"]]


@dataclass
class Gateway:
    """An application, the services behind it, and requests to it."""

    records: FakeService = field(default_factory=lambda: FakeService("records"))
    prescriptions: FakeService = field(default_factory=lambda: FakeService("prescriptions"))
    settings: GatewaySettings = field(default_factory=GatewaySettings)
    clock: Clock = field(default_factory=SystemClock)
    draining: bool = False
    stories: Stories = field(default_factory=Stories)
    admission: Admission | None = None
    app: App = field(init=False)

    def __post_init__(self) -> None:
        tracing = Tracing("gateway", "gateway")
        services = self.records, self.prescriptions
        self.app = build(
            *services, self.settings, self.clock, tracing, lambda: self.draining, self.stories, self.admission
        )

    @property
    def asked(self) -> list[Any]:
        """Every call to either service."""
        return [*self.records.asked, *self.prescriptions.asked]

    async def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        *,
        whole: bool = True,
    ) -> Answer:
        """Sends a request as uvicorn would hand it on. `target` is the raw path and query.

        Unless it is `whole`, more of the body is announced and never comes.
        """
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers or [])
        if not any(name.lower() == "host" for name, _ in pairs):
            pairs.append(("Host", "localhost:8080"))
        chunks = [body] if isinstance(body, bytes) else list(body or [b""])
        return await self._asgi(method, target, pairs, chunks, whole=whole)

    async def post(self, target: str, value: Any, method: str = "POST", headers: Any = JSON) -> Answer:
        """Sends JSON; bytes as they are."""
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return await self.request(method, target, raw, headers)

    async def _asgi(
        self, method: str, target: str, headers: list[tuple[str, str]], chunks: list[bytes], *, whole: bool
    ) -> Answer:
        path, _, query = target.encode().partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path.decode()),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            "client": ("127.0.0.1", 40000),
            "server": ("127.0.0.1", 8080),
        }
        sent: list[Message] = []
        waiting, forever = list(chunks), asyncio.Event()

        async def receive() -> Message:
            if not waiting:
                await forever.wait()
            return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting) or not whole}

        async def send(message: Message) -> None:
            sent.append(message)

        async with asyncio.timeout(15):
            await self.app(scope, receive, send)
        heads = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], heads, b"".join(message.get("body", b"") for message in sent[1:]))
