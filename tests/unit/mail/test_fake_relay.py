"""The relay of the tests itself: what tests conclude rests on it."""

from pathlib import Path
from random import Random

from svc_prescriptions.relay import Outcome, Patience, Relay, relay_address
from tests.fakes.letters import CONTENT, letter, mail
from tests.fakes.relay import Drawn, Fault, How, Planned, Point
from tests.fakes.relay.process import RelayProcess


async def yes() -> bool:
    return True


async def test_a_relay_in_a_process_of_its_own_keeps_letters_goes_away_and_comes_back(tmp_path: Path) -> None:
    """Fault runs rest on its file: a letter that it took and does not name would count as lost."""
    with RelayProcess(tmp_path) as server:
        relay = Relay(relay_address(server.address), "clinic@example.org")
        async with relay.link() as link:
            assert (await link.send(CONTENT.mail_to, mail(letter()), yes)).outcome is Outcome.SENT
            server.away()
            assert (await link.send(CONTENT.mail_to, mail(letter()), yes)).outcome is Outcome.RELAY_AWAY
            server.back()
            assert (await link.send(CONTENT.mail_to, mail(letter()), yes)).outcome is Outcome.SENT
        kept = server.letters()
    assert [(one.message_id, one.recipients) for one in kept] == [(letter().message_id, (CONTENT.mail_to,))] * 2
    assert kept[0].content == mail(letter()).as_bytes()


async def test_a_relay_in_a_process_of_its_own_tells_what_went_wrong(tmp_path: Path) -> None:
    """A run in which nothing went wrong proves nothing."""
    with RelayProcess(tmp_path, per=1) as server:
        relay = Relay(relay_address(server.address), "clinic@example.org", patience=Patience(connect=1, command=1))
        async with relay.link() as link:
            assert (await link.send(CONTENT.mail_to, mail(letter()), yes)).outcome is Outcome.RELAY_AWAY
    assert server.happened.total() == 1


def test_planned_faults_happen_once_in_their_order_and_drawn_ones_about_as_often_as_was_said() -> None:
    """And all of them do."""
    planned = Planned(Fault(Point.MAIL, How.CUT), Fault(Point.MAIL, How.STALL))
    assert planned(Point.RCPT) is None
    assert [planned(Point.MAIL) for _ in range(3)] == [Fault(Point.MAIL, How.CUT), Fault(Point.MAIL, How.STALL), None]
    drawn = Drawn(Random(1), per=10)
    happened = [drawn(Point.DOT) for _ in range(2000)]
    assert 150 < sum(fault is not None for fault in happened) < 250
    assert len({fault for fault in happened if fault}) == 8
