"""Made-up letters, and their picture for docs/: `python -m tests.fakes.letters` takes it anew."""

import asyncio
import base64
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

from storage.shape import Document
from svc_prescriptions.domain import Medication, Prescription, PrescriptionContent
from svc_prescriptions.letter import Letter, render
from tests.fakes.browser import Page, browser

PICTURE = Path(__file__).parents[2] / "docs" / "letter.png"
SENDER = "CareMesh <prescriptions@clinic.example>"
NOW = datetime(2026, 11, 24, 22, 5, tzinfo=UTC)
CONTENT = PrescriptionContent(
    patient_id=7,
    doctor_id=3,
    status="active",
    mail_to="pharmacy@example.org",
    written_on="2026-11-24",
    patient_name="ליאור Ben-Ami",
    patient_birth_date="1971-03-09",
    patient_address="Gartenstraße 12\n10115 Berlin",
    prescriber_name="Dr. Anežka Žitná",
    prescriber_address="Clinic on the Hill\nBergweg 1, 10119 Berlin",
    medications=(
        Medication(
            medication_name="Salbutamol",
            strength="100 micrograms",
            form="inhaler",
            dosage="1 to 2 puffs, at most 8 a day",
            sig="2 puffs when short of breath,\n1 puff before sport",
            quantity="1",
            days_supply=50,
            refills=2,
            reason="Mild asthma",
            rxnorm_code="745679",
        ),
        Medication(
            medication_name="Prednisolone",
            strength="5 mg",
            form="tablet",
            sig="Once each morning",
            quantity="7",
            refills=0,
        ),
    ),
)


def prescription(content: PrescriptionContent = CONTENT, version: int = 2) -> Prescription:
    """Prescription 42."""
    return Document(42, content, version, NOW, NOW, "local")


def letter(content: PrescriptionContent = CONTENT) -> Letter:
    """The first letter about it."""
    return Letter(
        kind="new",
        prescription=prescription(content),
        version=2,
        message_id="<prescription.42.2.new.20261124T220500Z@clinic.example>",
    )


def revision(content: PrescriptionContent = CONTENT) -> Letter:
    """A letter that replaces it."""
    named = "<prescription.42.3.revision.20261124T221500Z@clinic.example>"
    changed = replace(letter(content), kind="revision", version=3, message_id=named, replaces=letter().message_id)
    return replace(changed, prescription=prescription(content, 3))


def cancellation(reason: str = "stopped", content: PrescriptionContent = CONTENT) -> Letter:
    """A letter that takes it back."""
    named = "<prescription.42.3.cancellation.20261124T221500Z@clinic.example>"
    changed = replace(letter(content), kind="cancellation", version=3, message_id=named)
    return replace(changed, replaces=letter().message_id, reason=reason)


def mail(one: Letter) -> EmailMessage:
    return render(one, SENDER, NOW)


def html(message: EmailMessage) -> str:
    """The body that a mail program shows."""
    return _body(message, "html")


def plain(message: EmailMessage) -> str:
    """The body for those that show no HTML."""
    return _body(message, "plain")


def _body(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body
    return str(body.get_content()).replace("\r\n", "\n")


class Table(HTMLParser):
    """The cells of a letter, each of them with its lines, and every tag and attribute in it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._inside, self._lines = False, 0
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "td":
            self._inside, self._lines = True, 0
            self.cells.append("")
        elif tag == "div":
            self.cells[-1] += "\n" if self._lines else ""
            self._lines += 1

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "td"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.cells[-1] += data


async def show(page: Page, message: EmailMessage, width: int = 640) -> bytes:
    """Shows a letter in a browser and returns its picture, a PNG of all of it."""
    await page.do("Emulation.setDeviceMetricsOverride", width=width, height=200, deviceScaleFactor=1, mobile=False)
    await page.do("Page.navigate", url=f"data:text/html;charset=utf-8,{quote(html(message))}")
    await page.until("document.readyState === 'complete' && document.title.length > 0")
    taken = await page.do("Page.captureScreenshot", format="png", captureBeyondViewport=True)
    return base64.b64decode(taken["data"])


async def _main() -> None:
    with tempfile.TemporaryDirectory() as profile:
        async with browser(Path(profile)) as page:
            PICTURE.write_bytes(await show(page, mail(revision())))


if __name__ == "__main__":
    asyncio.run(_main())
