"""What a write leaves in the outbox, in its own transaction."""

import pytest

from observability.tracing import Tracing
from storage.errors import KeyReused
from storage.keys import Answered, Once
from svc_prescriptions.domain import Medication, Prescription
from svc_prescriptions.relay.result import Outcome
from tests.integration.outbox.clinic import CONTENT, Clinic, end, take, take_one


async def test_a_prescription_and_its_letter_are_written_together_or_not_at_all(clinic: Clinic) -> None:
    """A letter about what is not there would be as wrong as a prescription without its letter."""

    def fail(_: Prescription) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await clinic.prescriptions.add(CONTENT, "a", once=Once("local", "k1", "d", fail))
    assert await clinic.worker().due(9) == []
    key = (await clinic.write()).key
    assert await clinic.worker().due(9) == [key]
    (letter,) = await clinic.of(key)
    assert (letter.prescription_id, letter.version, letter.about) == (key, 1, 1)
    assert (letter.kind, letter.state, letter.attempts, letter.next_attempt_at) == ("new", "waiting", 0, clinic.now)
    assert (letter.message_id, letter.recipient) == (
        f"<prescription.{key}.1.new.20261124T120000Z@clinic.example>",
        "a@example.org",
    )


async def test_a_write_that_is_repeated_under_its_key_mails_once(clinic: Clinic) -> None:
    """The gateway repeats what got no answer."""
    once: Once[Prescription] = Once("local", "k1", "d", lambda _: b"")
    await clinic.prescriptions.add(CONTENT, "a", once=once)
    with pytest.raises(Answered):
        await clinic.prescriptions.add(CONTENT, "a", once=once)
    with pytest.raises(KeyReused):
        await clinic.prescriptions.add(CONTENT, "a", once=Once("local", "k1", "other", lambda _: b""))
    assert await clinic.told() == ["new waiting"]


@pytest.mark.parametrize("fields", [{"status": "draft"}, {"mail_to": ""}, {"status": "stopped"}])
async def test_what_is_not_active_or_has_no_address_is_not_mailed(clinic: Clinic, fields: dict[str, str]) -> None:
    """A draft is nobody's business yet."""
    await clinic.write(**fields)
    assert await clinic.told() == []
    await clinic.change(mail_to="a@example.org")
    assert await clinic.told() == (["new waiting"] if "mail_to" in fields else [])


async def test_two_ways_to_write_a_mailbox_are_one_recipient(clinic: Clinic) -> None:
    """Or the pharmacist who has a letter would be told that it is void, and get it again."""
    await clinic.write(mail_to="a@bücher.example")
    await clinic.change(mail_to="a@BÜCHER.example")
    await clinic.change(mail_to="a@xn--bcher-kva.example")
    assert await clinic.told() == ["new waiting"]


async def test_only_what_a_letter_shows_makes_a_revision(clinic: Clinic) -> None:
    """A pharmacist who gets ten equal letters reads none of them."""
    await clinic.write()
    await end(clinic.worker(), await take_one(clinic.worker()))
    await clinic.change()
    assert await clinic.told() == ["new sent"]
    await clinic.change(medications=(Medication(medication_name="Aspirin", refills=0),))
    assert await clinic.told() == ["new sent", "revision waiting"]
    revision = (await clinic.of())[-1]
    assert (revision.version, revision.about) == (3, 3)
    assert revision.replaces == "<prescription.1.1.new.20261124T120000Z@clinic.example>"


async def test_a_deletion_cancels_what_has_left_and_withdraws_what_has_not(clinic: Clinic) -> None:
    """The cancellation shows what it cancels: the version that the letter was about."""
    await clinic.write()
    await end(clinic.worker(), await take_one(clinic.worker()))
    await clinic.change(patient_name="Eva")
    await clinic.prescriptions.delete(1, 0, "a")
    assert await clinic.told() == ["new sent", "revision withdrawn", "cancellation waiting"]
    cancellation = (await clinic.of())[-1]
    assert (cancellation.version, cancellation.about) == (3, 1)
    await clinic.write()
    await clinic.prescriptions.delete(2, 0, "a")
    assert await clinic.told(2) == ["new withdrawn"]


async def test_another_recipient_gets_a_letter_and_the_old_one_a_cancellation(clinic: Clinic) -> None:
    """Both may be sent at once: they are different mailboxes."""
    await clinic.write()
    await end(clinic.worker(), await take_one(clinic.worker()))
    await clinic.change(mail_to="b@example.org")
    taken = await take(clinic.worker())
    assert [(one.kind, one.recipient) for one in taken] == [
        ("cancellation", "a@example.org"),
        ("new", "b@example.org"),
    ]


async def test_a_letter_that_is_in_hand_is_left_to_its_worker(clinic: Clinic) -> None:
    """What follows it waits, and is what became of it."""
    worker = clinic.worker()
    await clinic.write()
    first = await take_one(worker)
    await clinic.change(patient_name="Eva")
    assert await clinic.told() == ["new sending", "revision waiting"]
    assert await take(worker) == []
    await end(worker, first, Outcome.LATER)
    second = await take_one(worker)
    assert (second.kind, second.replaces) == ("new", "")
    assert await clinic.told() == ["new withdrawn", "new sending"]


async def test_a_letter_remembers_the_request_that_made_it(clinic: Clinic) -> None:
    """So that its sending is seen in the same trace."""
    request = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await clinic.write()
    with Tracing("prescriptions", "test").resumed("request", request, {}):
        await clinic.write()
    assert [one.traceparent[3:35] for key in (1, 2) for one in await clinic.of(key)] == ["", request[3:35]]
