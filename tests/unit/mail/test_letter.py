"""What a pharmacist reads, and what a mail program makes of it, whatever clients write."""

from collections.abc import Sequence
from dataclasses import fields, replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svc_prescriptions.domain import Medication, PrescriptionContent
from svc_prescriptions.letter import Letter, render
from svc_prescriptions.letter.sheet import WHY, sheet
from svc_prescriptions.letter.texts import clean, isolated
from svc_prescriptions.mailbox import MailboxError, transmitted
from tests.fakes.letters import (
    CONTENT,
    NOW,
    SENDER,
    Table,
    cancellation,
    html,
    letter,
    mail,
    plain,
    prescription,
    revision,
)

HOSTILE = [
    "\r\nBcc: all@example.org",
    "\nTo: other@example.org\n\nbody",
    "=?utf-8?q?=0D=0ABcc:?=",
    "--=_letter--",
    "\n.\n",
    "From me",
    "</td></table><script>alert(1)</script>",
    "<img src=http://example.org/x.png>",
    "{{ 7 * 7 }}{% for x in y %}",
    "&amp;<b>'\"",
    "\u202e05 mg",
    "\u2069\u2066ליאור",
    "\u2028STATUS\n  Status: active",
    "\x00\x1b[31m\ufffe",
    "é" * 500,
    "x" * 2000,
]
TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "p", "h2", "table", "tr", "th", "td", "div", "br"}
ATTRIBUTES = {"lang", "charset", "name", "content", "class", "scope", "dir"}
texts = (
    st.text(st.characters(), max_size=80) | st.sampled_from(HOSTILE) | st.lists(st.sampled_from(HOSTILE)).map("".join)
)
mailboxes = st.sampled_from(
    [
        "pharmacy@example.org",
        '"a\\"b, <c@d>; e"@example.org',
        '"Bcc: x@example.org"@example.org',
        "jörg@münchen.de",
        "info@例子.广告",
        "l" * 64 + "@" + ".".join(["d" * 59] * 3) + ".example",
    ]
)
medications = st.builds(
    Medication,
    **dict.fromkeys(("medication_name", "dosage", "sig", "strength", "form", "reason", "quantity"), texts),
    days_supply=st.none() | st.integers(0, 2**31),
    refills=st.none() | st.integers(0, 2**31),
)
contents = st.builds(
    PrescriptionContent,
    mail_to=mailboxes,
    status=st.just("active"),
    written_on=st.just("2026-11-24"),
    patient_name=texts,
    patient_birth_date=texts,
    patient_address=texts,
    prescriber_name=texts,
    prescriber_address=texts,
    medications=st.lists(medications, min_size=1, max_size=3).map(tuple),
)
ids = st.sampled_from(["<prescription.1.1.new@a.example>", f"<p.1@{'.'.join(['d' * 60] * 3)}.example>"])
letters = st.builds(
    Letter,
    kind=st.sampled_from(["new", "revision", "cancellation"]),
    prescription=contents.map(prescription),
    version=st.integers(1, 2**31),
    message_id=ids,
    replaces=ids | st.just(""),
    reason=st.sampled_from(list(WHY)),
    again=st.booleans(),
)


def arrived(message: EmailMessage) -> EmailMessage:
    """What a reader makes of the bytes."""
    found = message_from_bytes(message.as_bytes(), policy=default)
    assert isinstance(found, EmailMessage)
    return found


@settings(deadline=None)  # a machine that is busy is no finding
@given(letters)
def test_a_mail_has_exactly_the_headers_that_were_meant_and_one_recipient(one: Letter) -> None:
    """Whatever clients write. A line more would be another recipient, or a body of the client's own."""
    message = arrived(mail(one))
    meant = {
        "Message-ID": one.message_id,
        **({"In-Reply-To": one.replaces, "References": one.replaces} if one.replaces else {}),
        "Date": "Tue, 24 Nov 2026 22:05:00 +0000",
        "From": SENDER,
        "To": transmitted(one.prescription.content.mail_to),
        "Subject": sheet(one).subject,
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": 'multipart/alternative; boundary="=_letter"',
    }
    got = {name: str(value) for name, value in message.items()}
    assert list(message.keys()) == list(meant)
    assert got == meant
    assert len(message["To"].addresses) == 1


@settings(max_examples=50, deadline=None)
@given(letters)
def test_both_bodies_arrive_whole_and_no_line_of_a_client_stands_where_a_line_of_ours_would(one: Letter) -> None:
    """A lost line is a lost dose; and a text must not be able to say that a prescription is active again."""
    message, rows = arrived(mail(one)), [row for _, part in sheet(one).parts for row in part]
    table, lines = Table(html(message)), plain(message).split("\n")
    assert table.cells == [text for _, text in rows]
    assert table.tags <= TAGS
    assert table.attributes <= ATTRIBUTES
    for label, text in rows:
        first, *further = map(isolated, text.split("\n"))
        assert f"  {label + ':':14}{first}" in lines
        assert all(f"{'':16}{line}" in lines for line in further)
    ours = {"  ", "", "Pr", "**", "* ", *(note[:2] for note in sheet(one).notes), "ST", "PA", "PR", "ME"}
    assert {line[:2] for line in lines} <= ours


@settings(max_examples=50, deadline=None)
@given(letters)
def test_a_mail_is_ascii_in_short_lines_and_without_defects(one: Letter) -> None:
    """So no relay need change it. Only addresses that are not ASCII make headers in UTF-8."""
    flat = mail(one).as_bytes()
    body = flat.partition(b"\r\n\r\n")[2]
    assert body.isascii()
    assert flat.isascii() or not one.prescription.content.mail_to.isascii()
    assert max(map(len, flat.split(b"\r\n"))) <= 998
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert flat.replace(b"\r\n", b"").count(b"\r") == flat.replace(b"\r\n", b"").count(b"\n") == 0
    assert [part.defects for part in message_from_bytes(flat, policy=default).walk()] == [[]] * 3


@settings(max_examples=50, deadline=None)
@given(letters, contents)
def test_the_subject_says_nothing_about_the_patient(one: Letter, other: PrescriptionContent) -> None:
    """It is shown on locked screens and kept in logs."""
    another = replace(one, prescription=prescription(other))
    assert sheet(one).subject == sheet(another).subject


def test_a_letter_says_all_that_a_pharmacist_needs() -> None:
    """By name: whatever is in a prescription and is not the clinic's own business."""
    ours = {"patient_id", "doctor_id", "mail_to", "source_id", "medications"}
    said = [str(getattr(CONTENT, field.name)) for field in fields(CONTENT) if field.name not in ours]
    said += [str(value) for one in CONTENT.medications for value in vars_of(one) if value not in ("", None)]
    for body in (plain(mail(letter())), "\n".join(Table(html(mail(letter()))).cells)):
        unwrapped = body.replace("\n                ", "\n").replace("\u2068", "").replace("\u2069", "")
        assert [text for text in said if text not in unwrapped] == []
    assert mail(letter())["Subject"] == "Prescription 42, version 2"


def vars_of(one: Medication) -> Sequence[object]:
    return [getattr(one, field.name) for field in fields(one)]


def test_what_is_not_known_is_said_so_and_no_refills_are_none() -> None:
    """A pharmacist asks for a missing name, and must see that 0 was meant."""
    bare = PrescriptionContent(
        mail_to="a@example.org", status="active", medications=(Medication(medication_name="A", refills=0),)
    )
    text = plain(mail(letter(bare)))
    assert text.count("not stated") == 6
    assert "  Refills:      0\n" in text
    assert "Strength" not in text


def test_a_revision_names_the_letter_that_it_replaces_and_calls_it_void() -> None:
    """Two letters that both seem to hold are dispensed twice."""
    message = mail(revision())
    assert message["In-Reply-To"] == message["References"] == letter().message_id
    assert message["Subject"] == "Prescription 42, version 3: replaces every earlier letter"
    for body in (plain(message), html(message)):
        assert "This letter replaces every earlier one about this prescription" in body
        assert "do not dispense by any of them" in body
        assert letter().message_id in body.replace("&lt;", "<").replace("&gt;", ">")


@pytest.mark.parametrize("reason", WHY)
def test_a_cancellation_says_first_of_all_not_to_dispense_and_why(reason: str) -> None:
    """It comes after the patient's letter, and somebody reads it in a hurry."""
    message = mail(cancellation(reason))
    status, sentence = WHY[reason]
    assert message["Subject"] == "CANCELLED: prescription 42, version 3. Do not dispense."
    assert message["In-Reply-To"] == letter().message_id
    first = plain(message).split("\n")[:9]
    assert f"*  DO NOT DISPENSE: {status.upper()}" in first
    assert sentence in first
    assert f'<p class="warning">Do not dispense: {status}</p>' in html(message)
    assert "cancels version 2" in plain(message)
    assert "Every letter of ours about it is void" in plain(message)
    assert "active" not in plain(message)


def test_a_letter_that_may_have_arrived_before_says_so_and_others_do_not() -> None:
    """Who holds the first one must not take the second for another prescription."""
    for one in (letter(), revision(), cancellation()):
        again = mail(replace(one, again=True))
        assert all("may have reached you already" in body for body in (plain(again), html(again)))
        assert "may have reached you already" not in plain(mail(one)) + html(mail(one))
        assert again["Message-ID"] == one.message_id


def test_texts_from_right_to_left_do_not_turn_around_what_stands_beside_them() -> None:
    """In plain text by isolates, in HTML by the line; what would turn around a dosage is taken out."""
    assert "Name:         \u2068ליאור Ben-Ami\u2069\n" in plain(mail(letter()))
    assert '<td><div dir="auto">ליאור Ben-Ami</div></td>' in html(mail(letter()))
    assert clean("take \u202e05\u202c mg\u2069\u2066") == "take 05 mg"
    assert clean("take 5\u200f0 mg\u200e, 5\u061c-\u061c10 drops") == "take 50 mg, 5-10 drops"
    assert isolated("5 mg") == "5 mg"


@given(st.text(st.characters()))
def test_a_cleaned_text_has_newlines_and_tabs_and_no_other_controls(text: str) -> None:
    """And letters stay letters: what had no controls is as it was."""
    cleaned = clean(text)
    cleaned.encode()
    assert all(letter in "\n\t" or letter >= " " for letter in cleaned)
    assert cleaned.splitlines() == cleaned.removesuffix("\n").split("\n") or not cleaned
    assert clean(cleaned) == cleaned
    assert cleaned == text or not text.isprintable() or "\ufffe" in text


def test_the_same_letter_has_the_same_bytes_every_time() -> None:
    """A second attempt is no second letter."""
    assert mail(letter()).as_bytes() == mail(letter()).as_bytes()


def test_a_long_letter_arrives_whole() -> None:
    """A prescription may have a megabyte."""
    sig = 'Nimm täglich eine 😀 <i> "x"\n' * 2000
    message = arrived(mail(letter(replace(CONTENT, medications=(Medication(medication_name="A", sig=sig),)))))
    assert sig in Table(html(message)).cells
    assert plain(message).count("Nimm täglich") == 2000


def test_a_letter_to_nobody_is_not_made() -> None:
    """The door refuses these; a row of old could still hold one."""
    with pytest.raises(MailboxError):
        render(letter(replace(CONTENT, mail_to="a@b.org\nBcc: c@d.org")), SENDER, NOW)
