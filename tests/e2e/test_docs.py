"""The page at /docs in a real browser: it draws the document, its form works, and it asks nobody else for anything."""

import json
from pathlib import Path

import pytest

from gateway.examples import NEW_RECORD
from tests.fakes.browser import browser
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")

FILL = """(card, values) => {
  const form = document.querySelector(`#${card} form`);
  for (const [name, value] of Object.entries(values)) form.querySelector(`[name="${name}"]`).value = value;
  form.querySelector("button").click();
}"""


async def test_the_page_draws_every_operation_and_sends_a_request_and_asks_nobody_else(
    stack: Stack, tmp_path: Path
) -> None:
    """Its Content-Security-Policy holds in a browser as it reads on paper, and no error is on the console."""
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
