"""`caremesh mail`: what people see of letters and decide about them, by the clinic's own configuration."""

import asyncio
import json
import os
import stat
import subprocess
import sys
import webbrowser
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from caremesh.mail import inbox
from caremesh.main import main
from caremesh.sink.maildir import Maildir
from storage.database import Database
from svc_prescriptions.relay.result import Outcome
from tests.databases import PRESCRIPTIONS, migrated
from tests.fakes import letters
from tests.integration.outbox.clinic import Clinic, end, take_one

TEXT = "[registry]\n[mail-sink]\n[records]\n[prescriptions]\n[gateway]\n"
HOUSE = Path(__file__).parents[3]

Told = tuple[int, str, str]
Mail = Callable[..., Told]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "caremesh.toml"
    file.write_text(TEXT, encoding="utf-8")
    (tmp_path / "var").mkdir()
    return file


@pytest.fixture
def mail(config: Path, capsys: pytest.CaptureFixture[str]) -> Mail:
    """Runs the command: its exit code, what it printed, what it complained of."""

    def run(*arguments: str) -> Told:
        code = main(["mail", *arguments, "--config", str(config)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def clinic(config: Path, work: Callable[[Clinic], Awaitable[object]]) -> None:
    """Does something with the clinic's prescriptions."""
    address = f"sqlite:///{config.parent}/var/prescriptions.db"

    async def done() -> None:
        await migrated(address, PRESCRIPTIONS)
        async with Database(address) as database:
            await work(Clinic(database))

    asyncio.run(done())


async def of_every_kind(one: Clinic) -> None:
    """Delivery 1 failed, 2 is uncertain, 3 was sent, 4 waits."""
    for outcome in (Outcome.REFUSED, Outcome.UNCERTAIN, Outcome.SENT):
        await one.write(patient_name="Eva Nováková")
        await end(one.worker(), await take_one(one.worker()), outcome)
    await one.write()


def test_a_list_says_first_what_waits_then_the_counts_then_those_that_need_somebody(config: Path, mail: Mail) -> None:
    """Read from above, one line is enough on a good day. And it names no patient."""
    clinic(config, of_every_kind)
    code, out, _ = mail("list")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("1 letter waits, since 2026-11-24 12:00:00Z (")
    assert lines[1] == "waiting 1, sending 0, sent 1, failed 1, uncertain 1, withdrawn 0"
    assert [line.split()[:5] for line in lines[4:7]] == [
        ["1", "1", "1", "new", "failed"],
        ["2", "2", "1", "new", "uncertain"],
        ["4", "4", "1", "new", "waiting"],
    ]
    assert "RCPT 450 4.2.0" in lines[4]
    assert not any(secret in out for secret in ("Eva", "example.org", "Aspirin", "\x1b"))


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (["--state", "sent"], [3]),
        (["--prescription", "2"], [2]),
        (["--prescription", "3", "--state", "failed"], []),
        ([], [1, 2, 4]),
    ],
)
def test_a_list_may_be_of_a_state_and_of_a_prescription_and_for_programs(
    config: Path, mail: Mail, filters: list[str], ids: list[int]
) -> None:
    """A monitor counts, a person asks about one."""
    clinic(config, of_every_kind)
    told = json.loads(mail("list", "--json", *filters)[1])
    assert [one["delivery_id"] for one in told["deliveries"]] == ids
    assert told["states"]["failed"] == 1
    shown = mail("list", *filters)[1].splitlines()
    assert [int(line.split()[0]) for line in shown[4:-2]] == ids
    if not ids:
        assert shown[-1] == "no failed letter of prescription 3"


def test_a_list_that_is_not_whole_says_so_and_how_to_get_the_rest(
    config: Path, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred of them look like all of them."""
    monkeypatch.setattr("svc_prescriptions.commands.LISTED", 2)
    clinic(config, of_every_kind)
    assert mail("list")[1].splitlines()[-1].endswith("; these are the oldest 2 of 3, --all lists every one")
    assert len(mail("list", "--all")[1].splitlines()) == 4 + 3 + 2
    assert "--all" not in mail("list", "--all")[1] + mail("list", "--state", "sent")[1]


def test_a_letter_that_is_being_sent_is_counted_among_those_that_wait(config: Path, mail: Mail) -> None:
    """Until the relay has it, it has not left."""

    async def in_hand(one: Clinic) -> None:
        await one.write()
        await take_one(one.worker())

    clinic(config, in_hand)
    assert mail("list")[1].startswith("1 letter waits, since 2026-11-24 12:00:00Z (")


def test_one_is_shown_with_what_can_be_done_about_it(config: Path, mail: Mail) -> None:
    """Nobody reads a manual at night."""
    clinic(config, of_every_kind)
    failed, uncertain, sent = (mail("show", number)[1] for number in "123")
    assert "  Message-ID    <prescription.1.1.new.20261124T120000Z@clinic.example>" in failed.splitlines()
    assert "caremesh mail replay 1" in failed
    assert "caremesh mail settle 2 sent " in uncertain
    assert "caremesh mail settle 2 resend " in uncertain
    assert "caremesh mail" not in sent


def test_a_person_sends_one_again_or_says_that_it_has_arrived(config: Path, mail: Mail) -> None:
    """What the hints promise."""
    clinic(config, of_every_kind)
    assert mail("replay", "1") == (0, "mail: delivery 1 is waiting, and is due at once\n", "")
    assert mail("settle", "2", "sent") == (0, "mail: delivery 2 is sent\n", "")
    code, out, err = mail("replay", "3")
    assert (code, out) == (1, "")
    assert err.startswith("mail: delivery 3 is sent, so that it may be there twice then; add --again")
    assert mail("replay", "--again", "3")[0] == 0
    assert json.loads(mail("list", "--json")[1])["states"] == {
        "waiting": 2, "sending": 0, "sent": 1, "failed": 0, "uncertain": 1, "withdrawn": 0,
    }  # fmt: skip


def test_what_cannot_be_done_is_told_with_what_to_do(config: Path, mail: Mail) -> None:
    """A delivery that is not there, a clinic that never ran, a database that is none."""
    assert "no clinic was started on " in mail("list")[2]
    clinic(config, of_every_kind)
    assert "delivery 9 does not exist; `mail list` shows those that do" in mail("show", "9")[2]
    (config.parent / "var" / "prescriptions.db").write_bytes(b"no database" * 1000)
    code, _, err = mail("list")
    assert (code, "; `caremesh doctor` looks for what is wrong" in err) == (1, True)
    config.write_text("[registry]", encoding="utf-8")
    assert mail("list")[0] == 2


@pytest.mark.parametrize("arguments", [[], ["show"], ["show", "0"], ["show", "x"], ["settle", "1", "lost"], ["lsit"]])
def test_wrong_arguments_end_with_2(arguments: list[str]) -> None:
    """As with every command."""
    with pytest.raises(SystemExit) as ended:
        main(["mail", *arguments])
    assert ended.value.code == 2


def arrived(config: Path, *messages: EmailMessage | bytes) -> None:
    maildir = Maildir(config.parent / "var" / "mail")
    maildir.prepare()
    for one in messages:
        maildir.add(b"Delivered-To: a@example.org\r\n" + (one if isinstance(one, bytes) else one.as_bytes()))


def test_an_inbox_without_letters_says_where_they_would_come(config: Path, mail: Mail) -> None:
    """Before the first start there is not even a folder."""
    assert mail("inbox") == (0, f"no letter has come to {config.parent}/var/mail yet\n", "")
    assert mail("inbox", "show", "1")[0] == 1


def test_the_inbox_lists_its_newest_letters_last_with_numbers_that_stay(config: Path, mail: Mail) -> None:
    """What has just come stands where one looks: above the prompt."""
    arrived(config, *(f"Subject: number {number}\r\n\r\nx".encode() for number in range(1, 24)))
    for arguments in (("inbox",), ("inbox", "list")):
        _, out, _ = mail(*arguments)
        rows = out.splitlines()[1:-2]
        assert [row.split()[0] for row in rows] == [str(number) for number in range(4, 24)]
        assert rows[-1].endswith("a@example.org  number 23")
        assert "--all lists the 3 before them" in out
    for all_of_it in (("inbox", "--all"), ("inbox", "list", "--all"), ("inbox", "--all", "list")):
        assert len(mail(*all_of_it)[1].splitlines()) == 23 + 3


def test_a_letter_is_read_as_text_and_steers_no_terminal(config: Path, mail: Mail) -> None:
    """Anybody on this machine may have sent it."""
    evil = letters.mail(letters.revision())
    del evil["Subject"]
    arrived(config, letters.mail(letters.letter()), evil.as_bytes().replace(b"\n", b"\nSubject: a\x1b[2Jb\n", 1))
    _, out, _ = mail("inbox", "show", "1")
    assert "Delivered-To: a@example.org" in out
    assert "Salbutamol" in out
    assert "ליאור" in out
    _, out, _ = mail("inbox", "show", "2")
    assert "Subject: a\\x1b[2Jb" in out
    assert "In-Reply-To: <prescription.42.2.new.20261124T220500Z@clinic.example>" in out
    assert "\x1b" not in mail("inbox")[1]


@pytest.mark.parametrize(
    "letter",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: =?utf-8?b?====?=\r\n\r\nx",
        b"Content-Type: text/plain; charset=none\r\n\r\n\xff",
        b"Content-Type: multipart/alternative; boundary=\r\n\r\n--\r\n",
        b"To: <<<>>>,;\r\nFrom: =?\r\nMessage-ID: <\r\nDate: yesterday\r\n\r\n",
    ],
)
def test_whatever_came_is_shown_somehow(config: Path, mail: Mail, letter: bytes) -> None:
    """One broken letter must not hide the others."""
    arrived(config, letter)
    assert (mail("inbox")[0], mail("inbox", "show", "1")[0]) == (0, 0)
    assert mail("inbox", "open", "1")[0] in (0, 1)


def test_a_letter_is_opened_as_a_page_that_only_this_user_can_read(
    config: Path, mail: Mail, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It names a patient. In a pipe its path is all that is printed, for whatever reads on."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    opened = list[str]()
    monkeypatch.setattr(webbrowser, "open", opened.append)
    arrived(config, letters.mail(letters.letter()), b"Subject: x\r\n\r\nonly text")
    code, out, _ = mail("inbox", "open", "1")
    page = Path(out.strip())
    assert (code, opened, stat.S_IMODE(page.stat().st_mode)) == (0, [], 0o600)
    assert page.read_text(encoding="utf-8") == letters.html(letters.mail(letters.letter()))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    _, out, _ = mail("inbox", "open", "1")
    assert opened == [Path(out.splitlines()[0]).as_uri()]
    assert "remove the file when you have read it" in out
    code, _, err = mail("inbox", "open", "2")
    assert (code, "it has no HTML part" in err) == (1, True)


def test_the_inbox_is_where_the_sink_puts_letters(config: Path, mail: Mail, tmp_path: Path) -> None:
    """By its settings; and where there is no sink any more, where it put them."""
    arrived(config, b"Subject: here\r\n\r\n")
    config.write_text(f'{TEXT}[mail-sink.environment]\nCAREMESH_MAIL_FOLDER = "{tmp_path}/elsewhere"', encoding="utf-8")
    assert f"no letter has come to {tmp_path}/elsewhere yet" in mail("inbox")[1]
    config.write_text(TEXT.replace("[mail-sink]", "[mail-sink]\ncount = 0"), encoding="utf-8")
    assert "here" in mail("inbox")[1]


def test_a_reader_who_has_seen_enough_ends_it_without_a_complaint(config: Path) -> None:
    """`caremesh mail inbox --all | head`."""
    arrived(config, *(b"Subject: " + b"x" * 50 + b"\r\n\r\n" for _ in range(1500)))
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "caremesh", "mail", "inbox", "--all", "--config", str(config)]
    with subprocess.Popen(command, cwd=HOUSE, stdout=writing, stderr=subprocess.PIPE, text=True) as running:
        os.close(writing)
        assert os.read(reading, 10)
        os.close(reading)
        assert running.communicate(timeout=60)[1] == ""
    assert running.returncode == 0


def test_a_table_of_letters_reads_only_what_it_shows(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand letters are listed as fast as twenty."""
    arrived(config, *(b"Subject: x\r\n\r\n" for _ in range(inbox.SHOWN + 5)))
    found, read = Maildir(config.parent / "var" / "mail").letters(), list[Path]()
    plain = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *rest: read.append(self) or plain(self, *rest))  # type: ignore[func-returns-value]
    inbox.listed(found, inbox.SHOWN)
    assert read == found[5:]
