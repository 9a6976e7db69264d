"""What is a mail address here, and how it travels."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from svc_prescriptions.mailbox import MailboxError, sender_of, transmitted

LONG = "l" * 64 + "@" + ".".join(["d" * 59] * 3) + ".example"


@pytest.mark.parametrize(
    ("address", "travels"),
    [
        ("pharmacy@example.org", "pharmacy@example.org"),
        ("o'hara+rx@Example.ORG", "o'hara+rx@example.org"),
        ('"a b"@example.org', '"a b"@example.org'),
        ('"a@b,c;d<e>\\"\\\\"@example.org', '"a@b,c;d<e>\\"\\\\"@example.org'),
        ("info@münchen.de", "info@xn--mnchen-3ya.de"),
        ("jörg@münchen.de", "jörg@xn--mnchen-3ya.de"),
        ("jo\u0308rg@example.org", "jörg@example.org"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
        ("צרכן@דוגמה.ישראל", "צרכן@xn--6dbbec0c.xn--4dbrk0ce"),
        (LONG, LONG),
    ],
)
def test_an_address_travels_in_its_normal_form(address: str, travels: str) -> None:
    """Quoted and internationalised ones are right, not exotic."""
    assert transmitted(address) == travels


@pytest.mark.parametrize(
    "address",
    [
        "pharmacy",
        "@example.org",
        "pharmacy@",
        "pharmacy@example",
        "pharmacy@localhost",
        "pharmacy@127.0.0.1",
        "pharmacy@[127.0.0.1]",
        "a@example.org, b@example.org",
        "a@example.org;b@example.org",
        "a@example.org b@example.org",
        "Pharmacy <pharmacy@example.org>",
        "<pharmacy@example.org>",
        "pharmacy@example.org (the old one)",
        " pharmacy@example.org",
        "pharmacy@example.org ",
        "a b@example.org",
        "a..b@example.org",
        ".a@example.org",
        '"a@example.org',
        '""@example.org',
        "a@b@example.org",
        "a%b@@example.org",
        "l" * 65 + "@example.org",
        "ö" * 33 + "@example.org",
        "a@" + "d" * 64 + ".org",
        "a@-example.org",
        "a@exa_mple.org",
        "a@example..org",
        "a@xn--.org",
        "a\u202eb@example.org",
        "\ud800@example.org",
        "a@\ud800.org",
    ],
)
def test_what_is_not_the_address_of_one_mailbox_is_refused(address: str) -> None:
    """A list would send one patient's letter to many; a name in it goes to the header as it is."""
    with pytest.raises(MailboxError, match="must be one mail address of a public domain, such as"):
        transmitted(address)


@pytest.mark.parametrize("control", ["\r\n", "\n", "\r", "\0", "\x1b", "\x7f", "\x85", "\u2028"])
@pytest.mark.parametrize(
    "form", ["a{}@example.org", "a@example.org{}", '"a{}b"@example.org', "a@example.org{}Bcc: b@x.org"]
)
def test_control_characters_are_refused_wherever_they_are(control: str, form: str) -> None:
    """CR and LF end a header and a command."""
    with pytest.raises(MailboxError, match="must not contain control characters"):
        transmitted(form.format(control))


def test_an_overlong_address_is_refused_in_characters_and_in_bytes() -> None:
    """254 is what a path in SMTP leaves room for."""
    with pytest.raises(MailboxError, match="at most 254 characters"):
        transmitted("l" * 64 + "@" + ".".join(["d" * 60] * 3) + ".example")
    with pytest.raises(MailboxError, match="254 in all"):
        transmitted("ö" * 32 + "@" + ".".join(["d" * 60] * 3) + ".example")


def test_an_address_that_others_would_read_as_another_one_is_refused() -> None:
    """Python's own parser takes =?…?= in an address for an encoded word, though RFC 2047 forbids it."""
    with pytest.raises(MailboxError, match="must not contain"):
        transmitted("=?utf-8?q?a?=@example.org")


@given(st.text(st.characters()) | st.from_regex(r"[^@]{1,30}@[^@]{1,30}") | st.emails())
@example("a@b" + "\u0300" * 200 + ".org")
def test_every_text_either_travels_in_one_line_or_is_refused(text: str) -> None:
    """No text does anything else, and what travels is its own normal form."""
    try:
        travels = transmitted(text)
    except MailboxError:
        return
    assert transmitted(travels) == travels
    assert len(travels.encode()) <= 254
    assert travels.isprintable()
    assert travels.rpartition("@")[2].isascii()


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("CareMesh <prescriptions@localhost>", "CareMesh", "prescriptions@localhost"),
        ("prescriptions@clinic.example", "", "prescriptions@clinic.example"),
        ('"Clinic, Dr. Müller" <a@clinic.example>', "Clinic, Dr. Müller", "a@clinic.example"),
        ("Кліника <a@clinic.example>", "Кліника", "a@clinic.example"),
    ],
)
def test_a_sender_is_an_address_with_or_without_a_name(text: str, name: str, address: str) -> None:
    """It is a setting of the clinic's, so it may be an internal one."""
    sender = sender_of(text)
    assert (sender.display_name, sender.addr_spec) == (name, address)


@pytest.mark.parametrize(
    "text", ["", "x", "a@b, c@d", "a@b\nBcc: c@d", "Group: a@b;", "jörg@clinic.example", "<>", "a@"]
)
def test_a_sender_that_is_not_one_address_is_refused_with_an_example(text: str) -> None:
    """It is read at start; every letter would fail."""
    with pytest.raises(MailboxError, match="such as CareMesh <"):
        sender_of(text)


@given(st.text())
def test_no_text_breaks_the_reading_of_a_sender(text: str) -> None:
    """A setting is input."""
    with suppress(MailboxError):
        assert sender_of(text).addr_spec.isascii()
