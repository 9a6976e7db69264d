"""Letters in a real browser: as a mail program shows them."""

import json
from dataclasses import replace
from pathlib import Path

from svc_prescriptions.domain import Medication
from tests.fakes.browser import browser
from tests.fakes.letters import CONTENT, cancellation, letter, mail, revision, show

BOXES = """[...document.querySelectorAll('.warning, .note, td, th, h1, h2')].map(one => {
  const box = one.getBoundingClientRect();
  return [box.left, box.top, box.right, box.bottom, one.scrollWidth > one.clientWidth];
})"""
WORDS = "[...document.querySelectorAll('td')].map(one => one.innerText)"
DIRECTION = (
    "text => getComputedStyle([...document.querySelectorAll('td div')].find(one => one.innerText === text)).direction"
)
ENDS = """cell => [...cell.children].filter(one => one.innerText.trim()).map(one => {
  const range = document.createRange(), text = one.firstChild;
  return [0, text.length - 1].map(at => {
    range.setStart(text, at), range.setEnd(text, at + 1);
    return range.getBoundingClientRect().left;
  });
})"""


async def test_a_letter_asks_nobody_for_anything_and_fits_a_phone(tmp_path: Path) -> None:
    """A picture from elsewhere would tell who reads it; and a pharmacist scrolls in one direction only."""
    long = replace(CONTENT, patient_name="ü" * 200, patient_address="x" * 500)
    async with browser(tmp_path) as page:
        for one in (letter(), revision(), replace(letter(long), again=True), cancellation()):
            for width in (360, 760):
                assert (await show(page, mail(one), width)).startswith(b"\x89PNG")
                boxes = await page.evaluate(BOXES)
                assert len(boxes) > 40
                assert [box for box in boxes if box[0] < 0 or box[2] > width or box[4]] == []
        assert all(asked["request"]["url"].startswith("data:") for asked in page.told("Network.requestWillBeSent"))
        assert page.told("Log.entryAdded") == page.told("Runtime.exceptionThrown") == []


async def test_a_cancellation_shows_its_warning_first_and_largest(tmp_path: Path) -> None:
    """Nobody may read on and dispense."""
    size = "parseFloat(getComputedStyle(document.querySelector('{}')).fontSize)"
    async with browser(tmp_path) as page:
        await show(page, mail(cancellation()))
        assert await page.evaluate(size.format(".warning")) >= await page.evaluate(size.format("h1"))
        top = "document.querySelector('{}').getBoundingClientRect().top"
        assert await page.evaluate(top.format(".warning")) < await page.evaluate(top.format("h2"))
        assert await page.evaluate("document.querySelector('.warning').innerText") == "Do not dispense: stopped"


async def test_names_of_any_script_are_shown_in_their_direction_and_markup_as_it_was_written(tmp_path: Path) -> None:
    """Each line has a direction of its own; nothing that a client wrote is more than text."""
    names = {
        "ליאור": "rtl",
        "أحمد الشريف": "rtl",
        "李小龍": "ltr",
        "Ольга": "ltr",
        "<b>O'Hara</b> &amp; <script>x()</script>": "ltr",
    }
    medications = tuple(Medication(medication_name=name, sig="5 mg") for name in names)
    async with browser(tmp_path) as page:
        await show(page, mail(letter(replace(CONTENT, medications=medications))))
        shown = await page.evaluate(WORDS)
        assert [name for name in names if name not in shown] == []
        for name, direction in names.items():
            assert await page.evaluate(f"({DIRECTION})({json.dumps(name)})") == direction
        assert await page.evaluate("document.querySelectorAll('script, b').length") == 0


async def test_each_line_is_read_in_its_own_direction_and_stands_on_its_own(tmp_path: Path) -> None:
    """After a line of Arabic "1-2 tablets" must not become "tablets 1-2", with or without our styles."""
    sig = "حبة واحدة يوميا\n1-2 tablets daily\n\nקח אחד"
    one = mail(letter(replace(CONTENT, medications=(Medication(medication_name="A", sig=sig),))))
    async with browser(tmp_path) as page:
        await show(page, one)
        for _ in ("with styles", "without"):
            cell = "[...document.querySelectorAll('td')].find(one => one.innerText.includes('tablets'))"
            shown = await page.evaluate(f"{cell}.innerText")
            assert [line for line in shown.split("\n") if line] == [line for line in sig.split("\n") if line]
            places = await page.evaluate(f"(({ENDS}))({cell})")
            assert [first < last for first, last in places] == [False, True, False]
            await page.evaluate("document.querySelector('style')?.remove()")
