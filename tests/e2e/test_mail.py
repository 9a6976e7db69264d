"""From a prescription to a mailbox, through all processes that `caremesh up` starts."""

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from typing import Any

import pytest

from caremesh.sink.maildir import Maildir
from tests.fakes.waiting import wait_until
from tests.upped import Up, get, healthy

pytestmark = pytest.mark.xdist_group("up")

PRESCRIPTION = {
    "patient_id": 7,
    "doctor_id": 3,
    "patient_name": "Jana Dvořáková",
    "medications": [{"medication_name": "Salbutamol", "sig": "2 puffs when short of breath"}],
    "mail_to": "pharmacy@example.org",
}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One clinic for all of these."""
    with Up(tmp_path_factory.mktemp("mail")) as running:
        running.ready()
        wait_until(lambda: healthy(running))
        yield running


def call(up: Up, verb: str, path: str, body: object = None) -> Any:
    """What the gateway answers; HTTPError unless 2xx."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(up.gateway + path, data, {"Content-Type": "application/json"}, method=verb)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def prescribed(up: Up, **fields: object) -> int:
    """A new prescription's id."""
    return int(call(up, "POST", "/prescriptions", PRESCRIPTION | fields)["prescription_id"])


def deliveries(up: Up, prescription_id: int) -> list[dict[str, Any]]:
    """What became of its mail, oldest first."""
    found: list[dict[str, Any]] = get(f"{up.gateway}/prescriptions/{prescription_id}/deliveries")["deliveries"]
    return found[::-1]


def sent(up: Up, prescription_id: int, letters: int) -> list[dict[str, Any]]:
    """The same, once there are so many and all of them are sent."""
    wait_until(lambda: [one["state"] for one in deliveries(up, prescription_id)] == ["sent"] * letters, 60)
    return deliveries(up, prescription_id)


def inbox(up: Up) -> list[Message]:
    """What the sink has."""
    return [message_from_bytes(path.read_bytes(), policy=default) for path in Maildir(up.data / "mail").letters()]


def arrived(up: Up, message_id: str) -> EmailMessage:
    """The one letter of that name."""
    (found,) = (one for one in inbox(up) if one["Message-ID"] == message_id)
    assert isinstance(found, EmailMessage)
    return found


def test_a_prescription_reaches_the_inbox_its_change_replaces_it_and_its_end_takes_it_back(up: Up) -> None:
    """The three letters of a prescription's life, each named by what REST tells of it."""
    number = prescribed(up)
    (new,) = sent(up, number, 1)
    letter = arrived(up, new["message_id"])
    assert (new["kind"], letter["Delivered-To"]) == ("new", "pharmacy@example.org")
    assert "Dvořáková" not in letter["Subject"]
    for kind in ("plain", "html"):
        body = letter.get_body((kind,))
        assert body
        assert "Jana Dvořáková" in body.get_content()
        assert "2 puffs when short of breath" in body.get_content()

    call(up, "PUT", f"/prescriptions/{number}", PRESCRIPTION | {"patient_address": "Lipová 12"})
    _, revision = sent(up, number, 2)
    assert (revision["kind"], revision["version"], revision["replaces"]) == ("revision", 2, new["message_id"])
    assert arrived(up, revision["message_id"])["In-Reply-To"] == new["message_id"]

    call(up, "DELETE", f"/patients/7/prescriptions/{number}")
    *_, cancellation = sent(up, number, 3)
    assert (cancellation["kind"], cancellation["replaces"]) == ("cancellation", revision["message_id"])
    last = arrived(up, cancellation["message_id"])
    assert (last["In-Reply-To"], last["Subject"][:9]) == (revision["message_id"], "CANCELLED")


def test_a_draft_and_one_without_an_address_are_not_mailed(up: Up) -> None:
    """Until they are to be. A letter that is sent after them shows that theirs would have come."""
    draft, silent = prescribed(up, status="draft"), prescribed(up, mail_to="")
    (after,) = sent(up, prescribed(up), 1)
    assert (deliveries(up, draft), deliveries(up, silent)) == ([], [])
    subjects = [str(one["Subject"]) for one in inbox(up)]
    assert not [one for one in subjects if f"rescription {draft}," in one or f"rescription {silent}," in one]
    assert arrived(up, after["message_id"])
    call(up, "PUT", f"/prescriptions/{draft}", PRESCRIPTION | {"status": "active"})
    assert sent(up, draft, 1)[0]["kind"] == "new"


def test_letters_that_the_sink_was_killed_under_arrive_when_it_is_back(up: Up) -> None:
    """Before, while and after it dies. One is there twice only if nobody could know better, and that is told."""
    killed, numbers = list[int](), list[int]()
    for number in range(30):
        if number in (5, 15):
            killed.append(up.kill("mail-sink.1"))
        numbers.append(prescribed(up))
        if number in (10, 20):
            wait_until(lambda: up.pid("mail-sink.1") not in (0, *killed))
    wait_until(lambda: all(deliveries(up, number)[0]["state"] in ("sent", "uncertain") for number in numbers), 60)
    for one in [deliveries(up, number)[0] for number in numbers]:
        if one["state"] == "uncertain":  # killed between the final dot and its 250: a person decides, or time
            assert up.run("mail", "settle", str(one["delivery_id"]), "resend").returncode == 0
    made = [sent(up, number, 1)[0] for number in numbers]
    copies = Counter(str(one["Message-ID"]) for one in inbox(up))
    assert [one["message_id"] for one in made if not copies[one["message_id"]]] == []
    assert sum("mail-sink.1" in line and "ended by SIGKILL" in line for line in up.lines) >= len(killed)
    for one in (one for one in made if copies[one["message_id"]] > 1):
        told = json.loads(up.run("mail", "list", "--json", "--prescription", str(one["prescription_id"])).stdout)
        assert copies[one["message_id"]] - 1 <= told["deliveries"][0]["maybe_left"]


def test_what_became_of_a_letter_and_what_it_says_is_read_from_the_command_line(up: Up) -> None:
    """As the tour in the README has it, while all of it runs."""
    number = prescribed(up, patient_name="Amal Haddad")
    (made,) = sent(up, number, 1)
    told = up.run("mail", "list", "--prescription", str(number)).stdout.splitlines()
    assert told[0] == "no letter waits"
    assert told[4].split()[:5] == [str(made["delivery_id"]), str(number), "1", "new", "sent"]
    listed = up.run("mail", "inbox")
    *_, last, _, _ = listed.stdout.splitlines()
    assert "pharmacy@example.org" in last
    shown = up.run("mail", "inbox", "show", last.split()[0])
    assert f"Message-ID: {made['message_id']}" in shown.stdout
    assert "Amal Haddad" in shown.stdout
    assert "\x1b" not in listed.stdout + shown.stdout


def test_no_process_tells_of_a_patient_or_an_address(up: Up) -> None:
    """All of the above is in their logs by now."""
    told = "\n".join(line for line in up.lines if not line.startswith("  "))
    assert not [secret for secret in ("Dvořáková", "Haddad", "pharmacy", "Lipová", "Salbutamol") if secret in told]
