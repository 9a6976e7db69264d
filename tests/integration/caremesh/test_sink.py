"""The sink as a relay's client meets it."""

import asyncio
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest

from caremesh.sink import server
from caremesh.sink.maildir import Maildir
from caremesh.sink.server import GRACE, LARGEST, MANY, Sink
from svc_prescriptions.relay import Relay, relay_address
from tests.integration.caremesh.sinking import PHARMACY, SENDER, client, content, give, mail, port_of


async def sent(sink: Sink, message: EmailMessage, to: str = PHARMACY) -> str:
    """Sends a letter as the prescription service does; what became of it."""

    async def yes() -> bool:
        return True

    async with Relay(relay_address(f"smtp://{sink.address}"), SENDER).link() as link:
        result = await link.send(to, message, yes)
        return f"{result.outcome.name} {result.told}"


@pytest.fixture
def maildir(tmp_path: Path) -> Maildir:
    made = Maildir(tmp_path / "mail")
    made.prepare()
    return made


async def test_a_letter_is_kept_as_it_came_with_the_addresses_that_it_was_sent_by(maildir: Maildir) -> None:
    """Who really got it may be somebody else than its To says."""
    message = mail("A dot\n.\nalone, and žluť\n")
    async with Sink(maildir.add) as sink:
        assert await sent(sink, message) == "SENT end of letter 250 2.0.0"
    (kept,) = maildir.letters()
    head = b"Return-Path: <clinic@example.org>\r\nDelivered-To: pharmacy@example.org\r\n"
    assert kept.read_bytes() == head + message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


async def test_addresses_beyond_ascii_are_taken(maildir: Maildir) -> None:
    """SMTPUTF8 is offered, so that nothing that a relay could take stays untried here."""
    async with Sink(maildir.add) as sink:
        assert await sent(sink, mail(to="lékárna@example.org"), "lékárna@example.org") == "SENT end of letter 250 2.0.0"
    assert "Delivered-To: lékárna@example.org\r\n".encode() in maildir.letters()[0].read_bytes()


async def test_a_letter_is_acknowledged_when_it_is_stored_and_not_before() -> None:
    """The 250 is a promise."""
    storing, allowed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def store(_: bytes) -> None:
        loop.call_soon_threadsafe(storing.set)
        asyncio.run_coroutine_threadsafe(allowed.wait(), loop).result(30)

    async with Sink(store) as sink:
        first = asyncio.create_task(sent(sink, mail()))
        await storing.wait()
        # While it is stored, others are served: the disk keeps nobody else waiting.
        async with client(port_of(sink.address)) as other:
            assert (await other.noop()).code == 250
        assert not first.done()
        allowed.set()
        assert (await first).startswith("SENT")


async def test_what_cannot_be_stored_is_refused_for_now_and_the_sink_goes_on(
    maildir: Maildir, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk loses no letter: it is tried again."""
    failing = [True]

    def store(letter: bytes) -> None:
        if failing.pop() if failing else False:
            raise OSError(28, "patient Novák")
        maildir.add(letter)

    async with Sink(store) as sink:
        assert await sent(sink, mail()) == "LATER end of letter 452 4.3.1"
        assert (await sent(sink, mail())).startswith("SENT")
    assert "cannot be stored (No space left on device), and was not taken" in caplog.text
    assert "Novák" not in caplog.text


async def test_a_letter_above_ten_mebibytes_is_refused_and_nothing_of_it_is_kept(maildir: Maildir) -> None:
    """By the size that is announced, and by what comes where none was."""
    line = b"x" * 900 + b"\r\n"
    async with Sink(maildir.add) as sink, client(port_of(sink.address)) as sending:
        with pytest.raises(aiosmtplib.SMTPDataError, match="552"):
            await give(sending, line * (LARGEST // len(line) + 1))
        with pytest.raises(aiosmtplib.SMTPSenderRefused, match="552"):
            await sending.mail(SENDER, options=[f"SIZE={LARGEST + 1}"])
        await give(sending, line * 1000)
    assert [content(path) for path in maildir.letters()] == [line * 1000]


async def test_an_inbox_that_only_grows_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A sink that was meant for a moment fills the disk after a year."""
    assert MANY >= 1000
    monkeypatch.setattr(server, "MANY", 3)
    async with Sink(len, stored=2) as sink:
        assert "letters" not in caplog.text
        await sent(sink, mail())
    assert "the inbox holds 3 letters" in caplog.text
    caplog.clear()
    async with Sink(len, stored=7):
        assert "the inbox holds 7 letters" in caplog.text


@pytest.mark.parametrize(
    "address",
    [b'"a\rX-Evil: 1"@b.example', b'"a\x0bb\x00"@b.example', b"\xff@b.example", b'"' + b"(" * 200 + b'"@b.example'],
)
async def test_whatever_the_addresses_are_they_make_no_further_line(maildir: Maildir, address: bytes) -> None:
    """What is stored is read by people and programs, whoever sent it."""
    async with Sink(maildir.add) as sink:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(sink.address))
        writer.write(b"EHLO x\r\nMAIL FROM:<%b>\r\nRCPT TO:<%b>\r\nDATA\r\nx: y\r\n.\r\nQUIT\r\n" % (address, address))
        assert b"250 2.0.0 stored" in await asyncio.wait_for(reader.read(), 30)
        writer.close()
    (kept,) = maildir.letters()
    first, second, *rest = kept.read_bytes().splitlines()
    assert (first.partition(b":")[0], second.partition(b":")[0], rest) == (b"Return-Path", b"Delivered-To", [b"x: y"])


async def test_leaving_waits_for_no_client_but_for_a_letter_that_is_being_stored(maildir: Maildir) -> None:
    """`caremesh up` gives each process a moment, and somebody may be connected all day."""
    began, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def store(letter: bytes) -> None:
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(30)
        maildir.add(letter)

    async with Sink(store) as sink:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(sink.address))
        assert (await reader.readline()).startswith(b"220")
        sending = asyncio.create_task(sent(sink, mail()))
        await began.wait()
        leaving = asyncio.create_task(sink.__aexit__(None, None, None))
        await asyncio.sleep(GRACE / 5)
        assert not leaving.done()
        go_on.set()
        await leaving
        assert (await sending).startswith("SENT")
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
    assert len(maildir.letters()) == 1


async def test_a_client_that_stalls_in_its_letter_does_not_keep_it_from_ending(
    maildir: Maildir, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever anybody does, it ends in time."""
    sink = Sink(maildir.add)
    async with sink:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(sink.address))
        writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhal")
        while not (await reader.readline()).startswith(b"354"):
            pass
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()
    assert "ended while a letter was coming in" in caplog.text
    assert maildir.letters() == []
