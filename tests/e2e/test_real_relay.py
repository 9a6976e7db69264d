"""A prescription over REST, through a real relay with STARTTLS and a login, into a mailbox, and onto a screen."""

import re
from pathlib import Path

import pytest

from tests.fakes.browser import browser
from tests.fakes.exim import DOMAIN, exim
from tests.fakes.letters import CONTENT, plain, show
from tests.stack import Stack

FROM = "Clinic on the Hill <prescriptions@clinic.example>"


@pytest.mark.timeout(300)
async def test_a_prescription_reaches_a_mailbox_through_a_real_relay_and_can_be_read(tmp_path: Path) -> None:
    """The whole way, with nothing on it that we wrote to please ourselves."""
    body = {
        "patient_id": 7,
        "doctor_id": 3,
        "mail_to": f"pharmacy@{DOMAIN}",
        "patient_name": CONTENT.patient_name,
        "medications": [{"medication_name": "Salbutamol", "sig": "2 puffs when short of breath", "refills": 2}],
    }
    with exim() as relay:
        settings = {
            "CAREMESH_MAIL_RELAY": relay.address,
            "CAREMESH_MAIL_CA_FILE": str(relay.certificate.file),
            "CAREMESH_MAIL_FROM": FROM,
        }
        with Stack(tmp_path, settings=settings) as stack:
            made = stack.ask("POST", "/prescriptions", body)[1]["prescription_id"]
            relay.arrived(1)
            assert stack.ask("DELETE", f"/prescriptions/{made}")[0] == 204
            first, second = relay.arrived(2)
            assert relay.certificate.key.read_text() not in stack.told
            assert "p@ss" not in stack.told
    assert first["From"] == second["From"] == FROM
    assert first["To"] == second["To"] == f"pharmacy@{DOMAIN}"
    assert first["Message-ID"] == second["In-Reply-To"]
    assert re.fullmatch(rf"<prescription\.{made}\.1\.new\.[0-9]{{8}}T[0-9]{{6}}Z@clinic\.example>", first["Message-ID"])
    assert "Directions:   2 puffs when short of breath\n" in plain(first)
    assert "DO NOT DISPENSE: DELETED" in plain(second)
    async with browser(tmp_path / "profile") as page:
        await show(page, first)
        shown = await page.evaluate("[...document.querySelectorAll('td')].map(one => one.innerText)")
        assert {CONTENT.patient_name, "Salbutamol", "2"} <= set(shown)
        await show(page, second)
        assert await page.evaluate("document.querySelector('.warning').innerText") == "Do not dispense: deleted"
