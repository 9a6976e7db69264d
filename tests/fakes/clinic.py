"""A gateway that keeps what it is sent in memory, and can be told to fail."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Trouble = Callable[[int], web.Response | None]


class FakeClinic:
    """POST /records and /prescriptions as the real one: 201, or 409 with Location for a source_id it has.

    `trouble` is asked before each write with its number (1, 2, …); its answer, if any, is given instead.
    `lose` lets a write happen and drops the connection instead of answering.
    """

    def __init__(self, trouble: Trouble = lambda _: None, lose: Callable[[int], bool] = lambda _: False) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.asked = 0
        self.at_once, self.most_at_once = 0, 0
        self._trouble, self._lose = trouble, lose

    async def post(self, request: web.Request) -> web.Response:
        """One write."""
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(0.001)  # so that requests overlap, as they do where work is done
            return await self._answer(request)
        finally:
            self.at_once -= 1

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if (answer := self._trouble(self.asked)) is not None:
            return answer
        body = await request.json()
        if body["source_id"] in self.rows:
            return web.json_response({"title": "Conflict"}, status=409, headers={"Location": request.path})
        self.rows[body["source_id"]] = {"collection": request.path.strip("/"), **body}
        if self._lose(self.asked) and request.transport is not None:
            request.transport.close()
        return web.json_response(body, status=201)


@asynccontextmanager
async def serving(clinic: FakeClinic) -> AsyncIterator[str]:
    """Serves it on a free port; gives its URL."""
    app = web.Application()
    app.router.add_post("/records", clinic.post)
    app.router.add_post("/prescriptions", clinic.post)
    app.router.add_get("/livez", _alive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def _alive(_: web.Request) -> web.Response:
    return web.json_response({"state": "alive"})
