"""One address says where the relay is and how it is spoken to."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc_prescriptions.relay import Relay, RelayAddress, RelayAddressError, relay_address
from svc_prescriptions.relay.address import Tls


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("smtp://127.0.0.1:1025", RelayAddress("127.0.0.1", 1025, Tls.OFFERED)),
        ("smtp://localhost", RelayAddress("localhost", 587, Tls.OFFERED)),
        ("smtp://[::1]:25", RelayAddress("::1", 25, Tls.OFFERED)),
        ("smtp://127.0.0.1:25?starttls=never", RelayAddress("127.0.0.1", 25, Tls.NEVER)),
        ("smtp://me:p@localhost?starttls=offered", RelayAddress("localhost", 587, Tls.OFFERED, "me", "p")),
        ("smtp://me:p@localhost", RelayAddress("localhost", 587, Tls.REQUIRED, "me", "p")),
        ("smtp://mail.example.org", RelayAddress("mail.example.org", 587, Tls.REQUIRED)),
        ("smtp://mail.example.org:25?starttls=never", RelayAddress("mail.example.org", 25, Tls.NEVER)),
        ("smtp://mail.example.org/?starttls=offered", RelayAddress("mail.example.org", 587, Tls.OFFERED)),
        ("smtps://me:p@mail.example.org", RelayAddress("mail.example.org", 465, Tls.AT_ONCE, "me", "p")),
        (
            "smtp://me%40x:%2F%3F%23%40%25%20@[2001:db8::1]",
            RelayAddress("2001:db8::1", 587, Tls.REQUIRED, "me@x", "/?#@% "),
        ),
    ],
)
def test_an_address_names_a_relay_and_what_is_left_out_is_the_careful_choice(text: str, found: RelayAddress) -> None:
    """TLS is required where there is a login or another machine, unless the address says otherwise."""
    assert relay_address(text) == found


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "must begin with smtp://"),
        ("mail.example.org:587", "must begin with smtp://"),
        ("http://mail.example.org", "must begin with smtp://"),
        ("smtp://", "must name a host"),
        ("smtp://:25", "must name a host"),
        ("smtp://münchen.example", "in ASCII"),
        ("smtp://mail.example.org:x", "cannot be read"),
        ("smtp://mail.example.org:70000", "cannot be read"),
        ("smtp://[::1", "cannot be read"),
        ("smtp://mail.example.org/inbox", "nothing but options"),
        ("smtp://mail.example.org#x", "nothing but options"),
        ("smtp://me@mail.example.org", "a login is a user and a password"),
        (f"smtp://:{SECRET}@mail.example.org", "a login is a user and a password"),
        (f"smtp://me:{SECRET}%00@mail.example.org", "a login is a user and a password"),
        (f"smtp://me:{SECRET}@mail.example.org?starttls=never", "in the open"),
        (f"smtp://me:{SECRET}@mail.example.org?starttls=offered", "in the open"),
        (f"smtp://me:{SECRET}@mail.example.org?starttls=always", "its one option"),
        (f"smtp://me:{SECRET}@mail.example.org?starttls=required&x=1", "its one option"),
        (f"smtps://me:{SECRET}@mail.example.org?starttls=required", "has no options"),
        (f"smtp://me:{SECRET} x@mail.example.org", "a blank"),
        (f"smtp://me:{SECRET}\n@mail.example.org", "a blank or a control character"),
        (f"smtp://me:{SECRET}/x@mail.example.org", "%2F"),
        (f"smtp://me:{SECRET}#x@mail.example.org", "%23"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_the_remedy_and_without_its_password(
    text: str, remedy: str
) -> None:
    """It is read at start, and what is wrong with it stands in a log."""
    with pytest.raises(RelayAddressError) as caught:
        relay_address(text)
    assert remedy in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_password_is_not_shown_by_its_address() -> None:
    """A repr ends up in logs."""
    assert SECRET not in repr(relay_address(f"smtps://me:{SECRET}@mail.example.org"))


@given(st.text() | st.text("smtp:/@[].?#%=&0123a ").map("smtp://".__add__))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    """A setting is input."""
    try:
        found = relay_address(text)
    except RelayAddressError:
        return
    assert found.host
    assert 0 <= found.port < 2**16


def test_a_file_of_authorities_that_is_none_is_refused_at_start(tmp_path: Path) -> None:
    """Else every letter would wait for a relay that is never trusted."""
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("x")
    for file in (wrong, tmp_path / "missing.pem"):
        with pytest.raises(RelayAddressError, match="name one with PEM certificates"):
            Relay(relay_address("smtps://mail.example.org"), "clinic@example.org", str(file))
