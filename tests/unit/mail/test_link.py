"""What becomes of a letter, whatever the relay does; against a real SMTP server that fails where it is told to."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from random import Random

import pytest

from svc_prescriptions.relay import Link, Outcome, Patience, Relay, Result, relay_address
from tests.fakes.certificate import certificate
from tests.fakes.relay import Drawn, FakeRelay, Fault, How, Planned, Point, Taken
from tests.fakes.waiting import until

SENDER, PHARMACY = "clinic@example.org", "pharmacy@example.org"
QUICK = Patience(connect=20, command=20, data=20, content=20, end=20, leave=2)
HASTY = Patience(connect=1, command=1, data=1, content=1, end=1, leave=1)
BEFORE = [Point.MAIL, Point.RCPT, Point.DATA]


def letter(text: str = "Aspirin\n") -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"] = "<prescription.1.1.new@example.org>"
    message["To"] = PHARMACY
    message.set_content(text)
    return message


def read(taken: Taken) -> str:
    return str(taken.message.get_content()).replace("\r\n", "\n")


async def yes() -> bool:
    return True


async def send(
    link: Link,
    message: EmailMessage | None = None,
    to: str = PHARMACY,
    handing_over: Callable[[], Awaitable[bool]] = yes,
) -> Result:
    return await link.send(to, message or letter(), handing_over)


@asynccontextmanager
async def linked(server: FakeRelay, patience: Patience = QUICK, options: str = "") -> AsyncIterator[Link]:
    async with server, Relay(relay_address(server.address + options), SENDER, patience=patience).link() as link:
        yield link


async def test_a_letter_arrives_as_it_was_for_its_recipient_alone() -> None:
    """That is all of it."""
    async with linked(server := FakeRelay()) as link:
        assert await send(link) == Result(Outcome.SENT, "end of letter 250 2.0.0")
    (taken,) = server.taken
    assert (taken.sender, taken.recipients) == (SENDER, (PHARMACY,))
    assert read(taken) == "Aspirin\n"
    assert server.commands[-1] == "QUIT"


async def test_several_letters_travel_over_one_connection() -> None:
    """A relay need not be dialled for each; RSET shows before each that it still listens."""
    async with linked(server := FakeRelay()) as link:
        for number in range(3):
            assert (await send(link, letter(f"{number}\n"))).outcome is Outcome.SENT
    assert server.connections == 1
    assert [read(taken) for taken in server.taken] == ["0\n", "1\n", "2\n"]
    assert [command for command in server.commands if command == "RSET"] == ["RSET"] * 2


@pytest.mark.parametrize(
    ("point", "answer", "outcome"),
    [
        *((point, "451 4.3.0 x", Outcome.LATER) for point in BEFORE),
        (Point.RCPT, "550 5.1.1 x", Outcome.REFUSED),
        (Point.DATA, "554 5.5.1 x", Outcome.REFUSED),
    ],
)
async def test_a_refusal_tells_its_phase_and_code_and_the_connection_takes_the_next_letter(
    point: Point, answer: str, outcome: Outcome
) -> None:
    """4xx is another time, 5xx is never; neither is the next letter's fault. The relay's words stay out of it."""
    async with linked(server := FakeRelay(Planned(Fault(point, How.ANSWER, answer)))) as link:
        assert await send(link) == Result(outcome, f"{point} {answer[:9]}")
        assert link.alive
        assert (await send(link)).outcome is Outcome.SENT
    assert (server.connections, len(server.taken)) == (1, 1)


async def test_a_sender_that_is_refused_is_the_relays_matter_and_no_letters() -> None:
    """It is the same one for all letters: were it theirs, a wrong word in the settings would kill them all."""
    async with linked(server := FakeRelay(Planned(Fault(Point.MAIL, How.ANSWER, "550 5.7.1 x")))) as link:
        assert await send(link) == Result(Outcome.RELAY_AWAY, "MAIL 550 5.7.1")
        assert not link.alive
        assert (await send(link)).outcome is Outcome.SENT
    assert (server.connections, len(server.taken)) == (2, 1)


@pytest.mark.parametrize(("answer", "outcome"), [("452 4.3.1 x", Outcome.LATER), ("554 5.7.1 x", Outcome.REFUSED)])
async def test_a_letter_that_is_refused_as_a_whole_was_not_taken(answer: str, outcome: Outcome) -> None:
    """The answer to the final dot is as good as any other."""
    async with linked(server := FakeRelay(Planned(Fault(Point.DOT, How.ANSWER, answer)))) as link:
        assert await send(link) == Result(outcome, f"end of letter {answer[:9]}")
        assert (await send(link)).outcome is Outcome.SENT
    assert (server.connections, len(server.taken)) == (1, 1)


@pytest.mark.parametrize("point", [*BEFORE, Point.CONTENT])
@pytest.mark.parametrize("how", [How.CUT, How.CUT_AFTER])
async def test_a_connection_that_is_lost_before_the_final_dot_leaves_the_letter_here(point: Point, how: How) -> None:
    """Without the dot it does not count, so it may be sent again without a second thought, over a new connection."""

    async def once_cut() -> bool:  # as long as writing it down takes, and then some
        await until(lambda: not server.connected)
        await asyncio.sleep(0.05)
        return True

    server = FakeRelay(Planned(Fault(point, how)))
    async with linked(server) as link:
        result = await send(link, handing_over=once_cut)
        assert result.outcome is Outcome.LATER
        assert result.told in {f"{phase} connection lost" for phase in (*BEFORE, "content")}
        assert (await send(link)).outcome is Outcome.SENT
    assert (server.connections, len(server.taken)) == (2, 1)


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_connection_that_is_lost_between_the_final_dot_and_its_answer_leaves_it_uncertain(
    *, keeps: bool
) -> None:
    """The relay may have the letter or not; nobody here can know (RFC 1047)."""
    server = FakeRelay(Planned(Fault(Point.DOT, How.CUT, keeps=keeps)))
    async with linked(server) as link:
        assert await send(link) == Result(Outcome.UNCERTAIN, "end of letter connection lost")
        assert (await send(link)).outcome is Outcome.SENT
    assert (server.connections, len(server.taken)) == (2, 1 + keeps)


@pytest.mark.parametrize("answer", ["999", "25", "", "354 go on", "hello"])
async def test_an_answer_to_the_final_dot_that_means_nothing_leaves_it_uncertain(answer: str) -> None:
    """Only a 4xx or a 5xx says that the letter was not taken."""
    server = FakeRelay(Planned(Fault(Point.DOT, How.ANSWER, answer or "\r\n")))
    async with linked(server, HASTY) as link:
        assert (await send(link)).outcome is Outcome.UNCERTAIN
        assert (await send(link)).outcome is Outcome.SENT
    assert server.connections == 2


async def test_a_letter_that_was_taken_stays_so_though_the_connection_ends_at_once() -> None:
    """The 250 counts, not what comes after it."""
    async with linked(server := FakeRelay(Planned(Fault(Point.DOT, How.CUT_AFTER)))) as link:
        assert (await send(link)).outcome is Outcome.SENT
        assert (await send(link)).outcome is Outcome.SENT
    assert (server.connections, len(server.taken)) == (2, 2)


@pytest.mark.parametrize("how", How)
async def test_a_farewell_that_fails_changes_nothing(how: How) -> None:
    """Who was told that a letter is sent must not hear otherwise because of a QUIT."""
    async with linked(FakeRelay(Planned(Fault(Point.QUIT, how, "550 no"))), HASTY) as link:
        assert (await send(link)).outcome is Outcome.SENT


@pytest.mark.parametrize("how", [How.CUT, How.CUT_AFTER, How.ANSWER])
async def test_a_connection_that_died_between_two_letters_is_not_used_for_the_second(how: How) -> None:
    """Relays end idle connections; that is no attempt of the letter's."""
    async with linked(server := FakeRelay(Planned(Fault(Point.RSET, how, "421 4.4.2 idle")))) as link:
        assert (await send(link)).outcome is Outcome.SENT
        assert (await send(link)).outcome is Outcome.SENT
    assert server.connections == 2


@pytest.mark.parametrize(
    ("point", "how"),
    [
        *((Point.CONNECT, how) for how in (How.CUT, How.CUT_AFTER)),
        *((Point.BANNER, how) for how in (How.CUT, How.CUT_AFTER, How.ANSWER)),
        *((Point.EHLO, how) for how in (How.CUT, How.ANSWER)),
    ],
)
async def test_a_relay_that_cannot_be_spoken_to_says_nothing_about_the_letter(point: Point, how: How) -> None:
    """It must not count against the letter, but against the relay."""
    answer = "554 5.3.2 no" if how is How.ANSWER else ""
    async with linked(server := FakeRelay(Planned(Fault(point, how, answer)))) as link:
        result = await send(link)
        assert result.outcome is Outcome.RELAY_AWAY, result
        assert (await send(link)).outcome is Outcome.SENT
    assert len(server.taken) == 1


async def test_a_relay_that_is_not_there_says_nothing_about_the_letter() -> None:
    """Nobody listens for a while, and then again."""
    async with linked(server := FakeRelay()) as link:
        await server.away()
        assert await send(link) == Result(Outcome.RELAY_AWAY, "connect nobody listens")
        await server.back()
        assert (await send(link)).outcome is Outcome.SENT


@pytest.mark.parametrize(
    ("point", "result"),
    [
        (Point.BANNER, Result(Outcome.RELAY_AWAY, "greeting timed out")),
        (Point.EHLO, Result(Outcome.RELAY_AWAY, "EHLO timed out")),
        (Point.MAIL, Result(Outcome.LATER, "MAIL timed out")),
        (Point.RCPT, Result(Outcome.LATER, "RCPT timed out")),
        (Point.DATA, Result(Outcome.LATER, "DATA timed out")),
        (Point.DOT, Result(Outcome.UNCERTAIN, "end of letter timed out")),
    ],
)
async def test_a_relay_that_stalls_is_left_after_a_while(point: Point, result: Result) -> None:
    """A late answer must not be taken for that to the next command, so the connection is given up."""
    async with linked(server := FakeRelay(Planned(Fault(point, How.STALL))), HASTY) as link:
        assert await send(link) == result
        assert (await send(link)).outcome is Outcome.SENT
    assert server.connections == 2


async def test_a_relay_that_does_not_read_the_content_does_not_have_the_letter() -> None:
    """The dot was never sent; so it is not uncertain."""
    big = letter("0123456789" * 7 + "\n")
    big.set_content(("0123456789" * 7 + "\n") * 250_000)
    server = FakeRelay(Planned(Fault(Point.CONTENT, How.STALL)), extensions=())
    async with linked(server, HASTY) as link:
        assert await send(link, big) == Result(Outcome.LATER, "content timed out")


async def test_the_handing_over_is_written_down_after_everything_but_the_final_dot() -> None:
    """Whoever dies before it has surely not sent the letter; the later, the fewer letters are uncertain."""
    async with linked(server := FakeRelay()) as link:

        async def look() -> bool:
            assert server.commands[-1] == "DATA"
            assert server.taken == []
            return True

        assert (await send(link, handing_over=look)).outcome is Outcome.SENT
    assert len(server.taken) == 1


async def test_a_letter_that_somebody_else_has_taken_over_is_not_sent() -> None:
    """Its lease has lapsed in between; two replicas would have sent it."""

    async def no() -> bool:
        return False

    async with linked(server := FakeRelay()) as link:
        assert await send(link, handing_over=no) == Result(Outcome.LATER, "lease lost", ours=True)
        await until(lambda: not server.connected)
        assert server.taken == []
        assert (await send(link)).outcome is Outcome.SENT
    assert server.connections == 2


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
async def test_a_letter_whose_handing_over_cannot_be_written_down_is_not_sent(error: type[BaseException]) -> None:
    """The connection holds half a letter: it is not used again."""

    async def fail() -> bool:
        raise error

    async with linked(server := FakeRelay()) as link:
        with pytest.raises(error):
            await send(link, handing_over=fail)
        await until(lambda: not server.connected)
        assert server.taken == []
        assert (await send(link)).outcome is Outcome.SENT
    assert server.connections == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=name)
        for name, text in {
            "dot": ".\n",
            "dots": "..\n.\n...\n",
            "end": "a\n.\n\nQUIT\n",
            "long": "x" * 5000 + "\n",
            "letters": "Ünïcode .\n.ü\n",
            "from": "From me\n",
            "returns": "a\rb\n.\rc\n",
        }.items()
    ],
)
async def test_no_text_ends_a_letter_early_or_changes_on_the_way(text: str) -> None:
    """A line of a dot alone is the end of a letter, and a bare CR is to some relays (SMTP smuggling)."""
    async with linked(server := FakeRelay()) as link:
        assert (await send(link, letter(text))).outcome is Outcome.SENT
    (taken,) = server.taken
    assert read(taken) == text.replace("\r", "\n")
    assert server.commands[-1] == "QUIT"
    assert all(len(line) <= 998 for line in taken.content.split(b"\r\n"))


async def test_the_size_of_a_letter_is_told_and_one_that_is_too_large_is_not_begun() -> None:
    """RFC 1870: a relay need not read a megabyte to refuse it."""
    async with linked(server := FakeRelay(extensions=["SIZE 2000"])) as link:
        assert (await send(link)).outcome is Outcome.SENT
        assert await send(link, letter("Aspirin\n" * 1000)) == Result(Outcome.REFUSED, "SIZE too large")
    assert f"MAIL FROM:<{SENDER}> SIZE={len(server.taken[0].content)}" in server.commands


@pytest.mark.parametrize("told", ["SIZE", "SIZE 0", "SIZE x", "SIZE ²"])
async def test_a_relay_that_tells_no_limit_has_none(told: str) -> None:
    """0 and nothing mean so; other words mean nothing."""
    async with linked(server := FakeRelay(extensions=[told])) as link:
        assert (await send(link)).outcome is Outcome.SENT
    assert "SIZE=" in server.commands[1]


@pytest.mark.parametrize("answer", ["552 5.3.4 too big", "552 too big", "554 5.3.4 too big"])
async def test_a_letter_that_is_too_large_for_the_relay_is_refused_at_mail(answer: str) -> None:
    """Here it is the letter's fault, though the answer is to MAIL."""
    async with linked(FakeRelay(Planned(Fault(Point.MAIL, How.ANSWER, answer)))) as link:
        assert (await send(link)).outcome is Outcome.REFUSED


async def test_an_address_that_is_not_ascii_travels_by_smtputf8_and_others_without_it() -> None:
    """Only few relays take it, so it is asked for only where nothing else will do; a domain has an ASCII form."""
    async with linked(server := FakeRelay()) as link:
        for address in ("jörg@münchen.de", "info@münchen.de", '"a b>"@example.org'):
            message = letter()
            assert (await send(link, message, address)).outcome is Outcome.SENT
    assert [taken.recipients[0] for taken in server.taken] == [
        "jörg@xn--mnchen-3ya.de",
        "info@xn--mnchen-3ya.de",
        '"a b>"@example.org',
    ]
    asked = [command.partition(" SIZE")[2] for command in server.commands if command.startswith("MAIL")]
    assert [" SMTPUTF8" in words for words in asked] == [True, False, False]


async def test_an_address_that_is_not_ascii_is_refused_where_the_relay_cannot_take_it() -> None:
    """To ask once more would not help; the reason is told."""
    async with linked(server := FakeRelay(extensions=["8BITMIME"])) as link:
        assert await send(link, to="jörg@example.org") == Result(Outcome.REFUSED, "SMTPUTF8 not offered")
    assert not [command for command in server.commands if command.startswith("MAIL")]


async def test_a_relay_without_extensions_takes_a_letter() -> None:
    """None of them is needed."""
    async with linked(server := FakeRelay(extensions=[])) as link:
        assert (await send(link)).outcome is Outcome.SENT
    assert server.commands[1] == f"MAIL FROM:<{SENDER}>"


def relay(server: FakeRelay, login: str, options: str = "", authorities: Path | None = None) -> Relay:
    address = server.address.replace("//127.0.0.1", f"//{login}127.0.0.1") + options
    return Relay(relay_address(address), SENDER, str(authorities or ""), QUICK)


async def test_a_letter_travels_over_tls_after_login(tmp_path: Path) -> None:
    """STARTTLS and a login are what relays ask for; the password travels only behind TLS."""
    mine = certificate(tmp_path)
    server = FakeRelay(tls=mine.server, users={"me": "p@ss"})
    async with server, relay(server, "me:p%40ss@", authorities=mine.file).link() as link:
        assert (await send(link)).outcome is Outcome.SENT
        assert (await send(link)).outcome is Outcome.SENT
    verbs = [command.partition(" ")[0] for command in server.commands]
    assert verbs[:5] == ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL"]
    assert len(server.taken) == 2


async def test_a_letter_travels_over_tls_from_the_first_byte(tmp_path: Path) -> None:
    """smtps://, as on port 465."""
    mine = certificate(tmp_path)
    async with FakeRelay(tls=mine.server, at_once=True, users={"me": "p"}) as server:
        async with relay(server, "me:p@", authorities=mine.file).link() as link:
            assert (await send(link)).outcome is Outcome.SENT
        async with relay(server, "me:p@").link() as link:
            assert await send(link) == Result(Outcome.RELAY_AWAY, "connect certificate not trusted")


async def test_no_password_goes_to_a_relay_that_is_not_who_it_should_be(tmp_path: Path) -> None:
    """A certificate that nobody vouches for, one of another name, and no TLS at all."""
    mine, other = certificate(tmp_path), tmp_path / "other"
    other.mkdir()
    foreign = certificate(other, "DNS:elsewhere.example")
    for tls, authorities, told in (
        (mine.server, None, "STARTTLS certificate not trusted"),
        (foreign.server, foreign.file, "STARTTLS certificate not trusted"),
        (None, mine.file, "STARTTLS not offered"),
    ):
        async with (
            FakeRelay(tls=tls, users={"me": "p"}) as server,
            relay(server, "me:p@", "", authorities).link() as link,
        ):
            assert await send(link) == Result(Outcome.RELAY_AWAY, told)
            assert not [command for command in server.commands if command.startswith("AUTH")]


async def test_a_wrong_password_is_the_relays_matter_and_no_letters(tmp_path: Path) -> None:
    """All letters wait until it is mended."""
    mine = certificate(tmp_path)
    async with FakeRelay(tls=mine.server, users={"me": "p"}) as server:
        async with relay(server, "me:wrong@", authorities=mine.file).link() as link:
            assert await send(link) == Result(Outcome.RELAY_AWAY, "AUTH 535 5.7.8")
        async with relay(server, "").link() as link:
            assert await send(link) == Result(Outcome.RELAY_AWAY, "MAIL 530 5.7.0")
    async with FakeRelay(tls=mine.server) as server, relay(server, "me:p@", authorities=mine.file).link() as link:
        assert await send(link) == Result(Outcome.RELAY_AWAY, "AUTH not offered")


async def test_tls_that_is_offered_is_taken_whoever_offers_it_and_may_be_left(tmp_path: Path) -> None:
    """On loopback without a login: better than nothing, and no promise."""
    mine = certificate(tmp_path)
    for options, taken in (("?starttls=offered", True), ("?starttls=never", False)):
        async with FakeRelay(tls=mine.server) as server, relay(server, "", options).link() as link:
            assert (await send(link)).outcome is Outcome.SENT
        assert ("STARTTLS" in server.commands) is taken


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_told_of_a_letter_is_true_whatever_goes_wrong(seed: int) -> None:
    """Sent: the relay has it. Refused, later, away: it does not. Else nobody knows, and it is told so."""
    server, told = FakeRelay(Drawn(Random(seed), per=15)), Counter[Outcome]()
    async with linked(server, Patience(connect=0.5, command=0.5, data=0.5, content=0.5, end=0.5, leave=0.5)) as link:
        for number in range(150):
            message = letter()
            message.replace_header("Message-ID", f"<{number}@example.org>")
            before = len(server.taken)
            outcome = (await send(link, message)).outcome
            stored = [taken.message_id for taken in server.taken[before:]]
            told[outcome] += 1
            if outcome is Outcome.SENT:
                assert stored == [f"<{number}@example.org>"]
            elif outcome is not Outcome.UNCERTAIN:
                assert stored == []
    assert set(told) == set(Outcome)
    assert told[Outcome.SENT] > 50
