"""What people see of letters and decide about them: `python -m svc_prescriptions mail …`."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hosting.commands import store
from hosting.service import main
from storage.backup import backup, restore
from storage.database import Database
from svc_prescriptions.outbox.delivery import State
from svc_prescriptions.relay.result import Outcome
from svc_prescriptions.settings import PrescriptionsSettings
from svc_prescriptions.wiring import hosted
from tests.integration.outbox.clinic import MINUTE, Clinic, end, take, take_one

LATER = datetime(2100, 1, 1, tzinfo=UTC)  # than the program's own clock says

Mail = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def mail(address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mail:
    """Runs the program; returns its exit code, and what it printed or complained of."""
    monkeypatch.setenv("CAREMESH_DATABASE", address)

    async def run(*arguments: str) -> tuple[int, Any]:
        code = await asyncio.to_thread(main, hosted(), ["mail", *arguments])
        told = capsys.readouterr()
        return code, json.loads(told.out) if code == 0 else told.err

    return run


async def failed(clinic: Clinic) -> None:
    """Delivery 1 was refused for good."""
    await clinic.write()
    await end(clinic.worker(), await take_one(clinic.worker()), Outcome.REFUSED)


async def uncertain(clinic: Clinic) -> None:
    """Of delivery 1 nobody knows."""
    await clinic.write()
    await end(clinic.worker(), await take_one(clinic.worker()), Outcome.UNCERTAIN)


async def test_a_list_says_what_waits_since_when_and_what_needs_a_person(clinic: Clinic, mail: Mail) -> None:
    """And nothing of a patient: neither whom it goes to nor what it says."""
    await failed(clinic)
    clinic.turn(MINUTE)
    for _ in range(2):
        await clinic.write(patient_name="Eva Nováková")
        clinic.turn(MINUTE)
    code, told = await mail("list")
    assert code == 0
    counts = {str(state): 0 for state in State} | {"failed": 1, "waiting": 2}
    assert told["states"] == counts
    assert told["waiting_since"] == "2026-11-24T12:01:00.000000Z"
    assert [one["state"] for one in told["deliveries"]] == ["failed", "waiting", "waiting"]
    assert not [word for word in ("example.org", "Eva", "Aspirin") if word in json.dumps(told)]
    assert [one["delivery_id"] for one in (await mail("list", "failed"))[1]["deliveries"]] == [1]
    assert (await mail("show", "1"))[1] == told["deliveries"][0]


async def test_a_list_says_how_many_it_leaves_out_and_has_them_when_asked(
    clinic: Clinic, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a bad night there are thousands, and whoever sees the first ones must not take them for all."""
    monkeypatch.setattr("svc_prescriptions.commands.LISTED", 2)
    for _ in range(5):
        await clinic.write()
    for _ in range(3):
        await clinic.change(patient_name=f"Eva {clinic.now}")
        clinic.turn(MINUTE)
    waiting = (await mail("list"))[1]
    assert ([one["delivery_id"] for one in waiting["deliveries"]], waiting["matching"]) == ([2, 3], 5)
    everything = (await mail("list", "--all"))[1]
    assert ([one["delivery_id"] for one in everything["deliveries"]], everything["matching"]) == ([2, 3, 4, 5, 8], 5)
    of_one = (await mail("list", "1"))[1]
    assert ([one["delivery_id"] for one in of_one["deliveries"]], of_one["matching"]) == ([1, 6], 4)
    assert len((await mail("list", "--all", "withdrawn", "1"))[1]["deliveries"]) == 3


async def test_what_is_being_sent_still_waits(clinic: Clinic, mail: Mail) -> None:
    """A relay that takes letters and answers nothing must not look as if no letter waited."""
    await clinic.write()
    clinic.turn(MINUTE)
    await clinic.write()
    await take_one(clinic.worker(), 1)
    assert (await mail("list"))[1]["waiting_since"] == "2026-11-24T12:00:00.000000Z"


async def test_a_list_may_be_of_one_prescription(clinic: Clinic, mail: Mail) -> None:
    """Whoever is asked about one wants all of its letters, and no other's."""
    for _ in range(2):
        await clinic.write()
    await end(clinic.worker(), await take_one(clinic.worker(), 1))
    await clinic.change(patient_name="Eva")
    seen = {filters: (await mail("list", *filters))[1]["deliveries"] for filters in ((), ("1",), ("sent", "1"), ("2",))}
    assert {filters: [one["delivery_id"] for one in found] for filters, found in seen.items()} == {
        (): [2, 3],
        ("1",): [1, 3],
        ("sent", "1"): [1],
        ("2",): [2],
    }


async def test_a_dead_letter_is_sent_again_when_a_person_says_so(clinic: Clinic, mail: Mail) -> None:
    """Its mailbox is there again. It never arrived, so it need not say that it may have."""
    await failed(clinic)
    code, told = await mail("replay", "1")
    assert (code, told["state"], told["maybe_left"], told["attempts"]) == (0, "waiting", 0, 1)
    clinic.now = LATER
    again = await take_one(clinic.worker())
    assert (again.delivery_id, again.message_id) == (1, "<prescription.1.1.new.20261124T120000Z@clinic.example>")


@pytest.mark.parametrize("how", [("replay", "--again", "1"), ("settle", "1", "resend")])
async def test_an_uncertain_letter_is_sent_again_and_says_so(clinic: Clinic, mail: Mail, how: tuple[str, ...]) -> None:
    """Two names for one thing: who settles it has these two ways."""
    await uncertain(clinic)
    assert (await mail("replay", "1"))[0] == 1
    code, told = await mail(*how)
    assert (code, told["state"], told["maybe_left"]) == (0, "uncertain", 1)
    clinic.now = LATER
    assert (await take_one(clinic.worker())).maybe_left == 1


@pytest.mark.parametrize("how", ["sent", "resend"])
@pytest.mark.parametrize("outcome", [Outcome.SENT, Outcome.REFUSED, Outcome.LATER])
async def test_only_an_uncertain_letter_can_be_settled(clinic: Clinic, mail: Mail, how: str, outcome: Outcome) -> None:
    """One digit wrong, and a letter that was sent would be there twice."""
    await clinic.write()
    await end(clinic.worker(), await take_one(clinic.worker()), outcome)
    before = await clinic.of()
    code, told = await mail("settle", "1", how)
    assert (code, "only an uncertain one can be settled; `mail replay`" in told) == (1, True)
    assert await clinic.of() == before


async def test_an_uncertain_letter_that_has_arrived_is_settled(clinic: Clinic, mail: Mail) -> None:
    """Somebody has called the pharmacy."""
    await uncertain(clinic)
    code, told = await mail("settle", "1", "sent")
    assert (code, told["state"], told["next_attempt_at"]) == (0, "sent", "")
    clinic.turn(60 * MINUTE)
    assert await take(clinic.worker()) == []
    code, told = await mail("settle", "1", "sent")
    assert (code, "only an uncertain one can be settled" in told) == (1, True)


async def test_what_is_not_true_any_more_is_not_sent_by_anybody(clinic: Clinic, mail: Mail) -> None:
    """A person who finds a dead letter does not know that there is a newer version."""
    await failed(clinic)
    await clinic.change(patient_name="Eva")
    for arguments in (("replay", "1"), ("replay", "--again", "1")):
        code, told = await mail(*arguments)
        assert (code, "not true any more" in told) == (1, True)
    await clinic.change(status="stopped")
    code, told = await mail("replay", "--again", "2")
    assert (code, "not true any more" in told) == (1, True)


async def test_what_is_in_hand_or_not_there_is_refused_with_a_reason(clinic: Clinic, mail: Mail) -> None:
    """Else it would be in two hands."""
    await clinic.write()
    await take(clinic.worker())
    assert "is being sent" in (await mail("replay", "--again", "1"))[1]
    assert "delivery 9 does not exist" in (await mail("show", "9"))[1]
    assert await clinic.told() == ["new sending"]


@pytest.mark.parametrize("arguments", [("list", "lost"), ("show",), ("show", "x"), ("settle", "1"), ()])
async def test_what_cannot_be_asked_is_answered_by_what_can(mail: Mail, arguments: tuple[str, ...]) -> None:
    """The line that helps."""
    code, told = await mail(*arguments)
    assert (code, "mail replay [--again] ID" in told) == (2, True)


async def test_after_a_copy_was_put_back_what_it_says_is_unsent_is_in_doubt(
    address: str, clinic: Clinic, tmp_path: Path
) -> None:
    """Since it was taken these letters may have left, and the database that knew it is gone."""
    for _ in range(3):
        await clinic.write()
    first, second = await take(clinic.worker(), 2)
    await end(clinic.worker(), first)
    await clinic.worker().hand_over(second)
    settings = PrescriptionsSettings(database=address)
    await backup(store(hosted(), settings), tmp_path / "copy", "1.2.3")
    await clinic.database.close()
    await restore(store(hosted(), settings), tmp_path / "copy")
    async with Database(address) as database:
        after = Clinic(database)
        assert [await after.told(key) for key in (1, 2, 3)] == [["new sent"], ["new uncertain"], ["new uncertain"]]
        assert [one.maybe_left for key in (1, 2, 3) for one in await after.of(key)] == [0, 1, 1]


async def test_a_version_that_is_made_once_more_after_a_copy_was_put_back_has_a_letter_of_another_name(
    address: str, clinic: Clinic, tmp_path: Path
) -> None:
    """A mail program that has the lost version's letter would drop the new one as the same."""
    settings = PrescriptionsSettings(database=address)
    await clinic.write()
    await end(clinic.worker(), await take_one(clinic.worker()))
    await backup(store(hosted(), settings), tmp_path / "copy", "1.2.3")
    lost = await clinic.change(patient_name="Ida")
    sent = (await clinic.of())[-1]
    await clinic.database.close()
    await restore(store(hosted(), settings), tmp_path / "copy")
    async with Database(address) as database:
        after = Clinic(database)
        after.now = clinic.now + MINUTE
        written = await after.change(patient_name="Eva")
        letter = (await after.of())[-1]
    assert (written.key, written.version, letter.kind) == (lost.key, lost.version, sent.kind)
    assert letter.message_id != sent.message_id
