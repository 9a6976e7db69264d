"""A letter through a real relay, over STARTTLS and a login, into a mailbox."""

from dataclasses import replace

import pytest

from svc_prescriptions.relay import Outcome, Relay, Result, relay_address
from tests.fakes.exim import ASKED, DOMAIN, LOGIN, PLAIN, exim
from tests.fakes.letters import CONTENT, html, letter, mail, revision

SENDER = "prescriptions@clinic.example"


async def yes() -> bool:
    return True


@pytest.mark.parametrize(("authenticators", "name"), [(PLAIN, "A=plain:clinic"), (ASKED, "A=login:clinic")])
async def test_letters_arrive_over_starttls_and_login_as_they_were_written(authenticators: str, name: str) -> None:
    """What our own server of the tests takes, a relay from elsewhere might not."""
    addresses = [f"pharmacy@{DOMAIN}", f"apothéke@{DOMAIN}", f'"a b"@{DOMAIN}']
    mails = [mail(revision(replace(CONTENT, mail_to=address))) for address in addresses]
    with exim(authenticators) as real:
        relay = Relay(relay_address(real.address), SENDER, str(real.certificate.file))
        async with relay.link() as link:
            sent = [await link.send(*letter, yes) for letter in zip(addresses, mails, strict=True)]
        assert sent == [Result(Outcome.SENT, "end of letter 250")] * 3
        arrived = {str(one["To"]): one for one in real.arrived(3)}
        assert real.told.count(name) == 3
        assert real.told.count("X=TLS1.") == 3
    for meant in mails:
        one = arrived[str(meant["To"])]
        assert [str(value) for key, value in one.items() if key != "Received"] == [str(it) for it in meant.values()]
        assert html(one) == html(meant)
        assert [part.defects for part in one.walk()] == [[]] * 3


async def test_a_real_relay_refuses_who_is_not_there_and_keeps_the_connection() -> None:
    """The codes that it answers with are told, and the next letter goes."""
    with exim() as real:
        relay = Relay(relay_address(real.address), SENDER, str(real.certificate.file))
        async with relay.link() as link:
            assert await link.send("pharmacy@elsewhere.example", mail(letter()), yes) == Result(
                Outcome.REFUSED, "RCPT 550"
            )
            assert (await link.send(f"pharmacy@{DOMAIN}", mail(letter()), yes)).outcome is Outcome.SENT
        real.arrived(1)


async def test_a_real_relay_that_does_not_know_the_password_takes_no_letter() -> None:
    """All letters wait; none of them is at fault."""
    with exim() as real:
        address = relay_address(real.address.replace(LOGIN, "clinic:wrong"))
        async with Relay(address, SENDER, str(real.certificate.file)).link() as link:
            assert await link.send(f"pharmacy@{DOMAIN}", mail(letter()), yes) == Result(Outcome.RELAY_AWAY, "AUTH 535")
        async with Relay(relay_address(real.address), SENDER).link() as link:
            told = Result(Outcome.RELAY_AWAY, "STARTTLS certificate not trusted")
            assert await link.send(f"pharmacy@{DOMAIN}", mail(letter()), yes) == told
