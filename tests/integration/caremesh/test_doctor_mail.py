"""What the doctor says of mail: whether letters can leave, and what lies where nobody looks."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from caremesh.config import read
from caremesh.doctor.finding import Finding
from caremesh.doctor.mail import mail
from caremesh.sink.maildir import Maildir
from caremesh.sink.server import Sink
from caremesh.state import Running, State
from tests.fakes.relay import FakeRelay
from tests.stack import free_port

TEXT = "[registry]\n[mail-sink]\n[records]\n[prescriptions]\n[gateway]\n"
ALONE = TEXT.replace("[mail-sink]", "[mail-sink]\ncount = 0")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "caremesh.toml"


async def found(
    file: Path, text: str = TEXT, environ: Mapping[str, str] | None = None, sink: str = ""
) -> dict[str, Finding]:
    """What is said, by what it is about; with a sink that runs at an address."""
    running = (
        State(os.getpid(), "", "", (Running("mail-sink.1", "mail-sink", os.getpid(), sink, ""),)) if sink else None
    )

    def look() -> list[Finding]:
        file.write_text(text, encoding="utf-8")
        return list(mail(read(file), environ or {}, running))

    return {one.what: one for one in await asyncio.to_thread(look)}


async def test_a_clinic_that_keeps_its_letters_is_well(file: Path) -> None:
    """Before its first start, and while its sink takes letters."""
    before = await found(file)
    assert {what: one.level for what, one in before.items()} == {"mail": "well"}
    maildir = Maildir(file.parent / "var" / "mail")
    maildir.prepare()
    maildir.add(b"x")
    async with Sink(maildir.add) as sink:
        (told,) = (await found(file, sink=sink.address)).values()
    assert (told.level, told.told) == ("well", f"letters go to the sink at {sink.address} and to nobody; 1 are there")
    assert len(maildir.letters()) == 1


async def test_a_sink_that_takes_no_letters_is_wrong(file: Path) -> None:
    """It runs, and nobody listens."""
    (told,) = (await found(file, sink=f"127.0.0.1:{free_port()}")).values()
    assert (told.level, "nobody listens" in told.told) == ("wrong", True)


async def test_a_relay_is_spoken_to_as_far_as_a_letter_is_not_yet_handed_over(file: Path) -> None:
    """A wrong password is found by day, and no letter is sent for it."""
    async with FakeRelay(users={"clinic": "right"}) as relay:
        where = relay.address.removeprefix("smtp://")
        right, wrong = [
            (await found(file, ALONE, {"CAREMESH_MAIL_RELAY": f"smtp://clinic:{word}@{where}?starttls=never"}))["mail"]
            for word in ("right", "bad")
        ]
    assert (right.level, "logged in" in right.told) == ("well", True)
    assert (wrong.level, "AUTH 535 5.7.8" in wrong.told) == ("wrong", True)
    assert "right" not in right.told
    assert "bad" not in wrong.told
    assert relay.taken == []


async def test_a_relay_that_is_away_is_wrong_and_what_lies_in_the_inbox_is_told(file: Path) -> None:
    """Letters that went to nobody before there was a relay are easily forgotten, and so is the sink."""
    maildir = Maildir(file.parent / "var" / "mail")
    maildir.prepare()
    maildir.add(b"x")
    given = f"smtp://127.0.0.1:{free_port()}"
    named = TEXT.replace("[gateway]", f'[prescriptions.environment]\nCAREMESH_MAIL_RELAY = "{given}"\n[gateway]')
    told = await found(file, named)
    assert {what: one.level for what, one in told.items()} == {"mail": "wrong", "mail-sink": "note", "inbox": "note"}
    assert "set count = 0" in told["mail-sink"].remedy
    assert str(maildir.folder) in told["inbox"].remedy
    assert all(one.remedy for one in told.values())


async def test_the_clinics_own_sink_may_be_named_like_any_relay(file: Path) -> None:
    """Then nothing lies where nobody looks."""
    async with Sink(len) as sink:
        told = await found(file, environ={"CAREMESH_MAIL_RELAY": f"smtp://{sink.address}"}, sink=sink.address)
    assert {what: one.level for what, one in told.items()} == {"mail": "well"}


@pytest.mark.parametrize(
    ("text", "environ", "why"),
    [
        (ALONE, {}, "neither a sink nor a relay"),
        (TEXT, {"CAREMESH_MAIL_RELAY": ""}, "CAREMESH_MAIL_RELAY is empty"),
    ],
)
async def test_letters_that_can_only_wait_are_worth_a_note(
    file: Path, text: str, environ: dict[str, str], why: str
) -> None:
    """It may be meant so, and must not be a surprise."""
    (told,) = (await found(file, text, environ)).values()
    assert (told.level, why in told.told) == ("note", True)


async def test_authorities_that_are_none_are_wrong(file: Path, tmp_path: Path) -> None:
    """The service would not start its worker."""
    (tmp_path / "ca.pem").write_text("no certificate")
    environ = {"CAREMESH_MAIL_RELAY": "smtps://127.0.0.1", "CAREMESH_MAIL_CA_FILE": str(tmp_path / "ca.pem")}
    told = (await found(file, ALONE, environ))["mail"]
    assert (told.level, "CAREMESH_MAIL_CA_FILE" in told.told) == ("wrong", True)


async def test_settings_that_are_refused_are_told_once_and_not_here(file: Path) -> None:
    """`doctor` tells them among the settings."""
    assert await found(file, ALONE, {"CAREMESH_MAIL_RELAY": "gopher://x"}) == {}
