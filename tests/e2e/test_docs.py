"""The page at /docs in a real browser: it draws the document, its form works, and it asks nobody else for anything."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse

from gateway.examples import NEW_RECORD
from tests.fakes.absence import cannot_run
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")

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
    """A fresh Chromium with one tab."""
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


FILL = """(card, values) => {
  const form = document.querySelector(`#${card} form`);
  for (const [name, value] of Object.entries(values)) form.querySelector(`[name="${name}"]`).value = value;
  form.querySelector("button").click();
}"""


async def test_the_page_draws_every_operation_and_sends_a_request_and_asks_nobody_else(
    stack: Stack, tmp_path: Path
) -> None:
    """Its Content-Security-Policy holds in a browser as it reads on paper, and no error is on the console."""
    if not CHROMIUM:
        cannot_run("the page at /docs in a browser", "install chromium")
    async with browser(tmp_path) as page:
        await page.do("Page.navigate", url=f"{stack.url}/docs#create_record")
        await page.until("document.querySelectorAll('article').length >= 23")
        assert await page.evaluate("document.querySelector('#create_record textarea').value.includes('patient_id')")
        unique = "JSON.stringify({...JSON.parse(box.value), source_id: '', patient_id: 4242, record_text: '<b>x</b>'})"
        await page.evaluate(f"{{const box = document.querySelector('#create_record textarea'); box.value = {unique}}}")
        await page.evaluate("document.querySelector('#create_record button').click()")
        await page.until("document.querySelector('#create_record [aria-live]').innerText.includes('201 Created')")
        drawn = await page.evaluate("document.querySelector('#create_record [aria-live]').innerText")
        assert "/patients/4242/records/" in drawn
        assert "<b>x</b>" in drawn
        asked = {one["request"]["url"].partition("#")[0] for one in page.told("Network.requestWillBeSent")}
        assert asked == {stack.url + path for path in ("/docs", "/openapi.json", "/records")}
        assert page.told("Log.entryAdded") == page.told("Runtime.exceptionThrown") == []


async def test_the_form_sends_a_key_and_a_condition(stack: Stack, tmp_path: Path) -> None:
    """If-Match and Idempotency-Key are tried where they are described; the answer's headers are shown."""
    if not CHROMIUM:
        cannot_run("the page at /docs in a browser", "install chromium")
    made = stack.ask("POST", "/records", {**NEW_RECORD, "source_id": ""})[1]
    place = {"patient_id": made["patient_id"], "record_id": made["record_id"]}
    tag = f'"{made["record_id"]}.{{}}"'
    async with browser(tmp_path) as page:
        await page.do("Page.navigate", url=f"{stack.url}/docs#delete_patient_record")
        await page.until("document.querySelector('#delete_patient_record form') !== null")
        for version, said in ((2, "412"), (1, "204"), (1, "204")):
            values = {**place, "If-Match": tag.format(version), "Idempotency-Key": f"docs-{made['record_id']}"}
            await page.evaluate("document.querySelector('#delete_patient_record [aria-live]').replaceChildren()")
            await page.evaluate(f"({FILL})('delete_patient_record', {json.dumps(values)})")
            drawn = "document.querySelector('#delete_patient_record [aria-live]').innerText"
            await page.until(f"{drawn}.startsWith('{said}')")
            assert f"idempotency-key: docs-{made['record_id']}" in await page.evaluate(drawn)
            assert f"-H 'If-Match: {tag.format(version)}'" in await page.evaluate(drawn)
        assert "Their headers" in await page.evaluate(
            "document.querySelector('#delete_patient_record .more').textContent"
        )
