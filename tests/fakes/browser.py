"""A real Chromium, steered by the DevTools protocol."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

from tests.fakes.absence import cannot_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), "")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --remote-debugging-port=0 --window-size=1200,1600"
)


class Page:
    """A tab, by the DevTools protocol. `seen` is every event that it told."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket, self._number = socket, 0
        self.seen: list[dict[str, Any]] = []

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends a command and returns its result."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        async with asyncio.timeout(30):
            while True:
                told = await self._socket.receive_json()
                if told.get("id") == self._number:
                    result: dict[str, Any] = told.get("result", told)
                    return result
                self.seen.append(told)

    async def evaluate(self, script: str) -> Any:
        """A script's value; a promise is waited for."""
        told = await self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, script: str) -> None:
        """Returns once a script is true."""
        async with asyncio.timeout(30):
            while not await self.evaluate(script):  # noqa: ASYNC110  # the browser is another process
                await asyncio.sleep(0.05)

    def told(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.seen if event.get("method") == method]


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """A fresh Chromium with one tab; skips the test where there is none."""
    if not CHROMIUM:
        cannot_run("what a browser shows", "install chromium")
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *FLAGS.split(), f"--user-data-dir={profile}", "about:blank", stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            while not (found := re.search(rb"ws://(\S+?)/", await process.stderr.readline())):  # type: ignore[union-attr]
                assert process.returncode is None
        async with ClientSession() as session:
            async with session.get(f"http://{found[1].decode()}/json/list") as answer:
                (tab,) = [one for one in json.loads(await answer.text()) if one["type"] == "page"]
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Network", "Runtime", "Log"):
                    await page.do(f"{domain}.enable")
                yield page
    finally:
        process.kill()
        await process.communicate()
