"""What a prescription is and what makes one acceptable. Pure: no messages, no database."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from storage.errors import IllegalStep
from storage.rules import Rules, text_bytes
from storage.shape import Document
from svc_prescriptions.mailbox import MailboxError, transmitted

# The codes of FHIR R4's MedicationRequest.status (hl7.org/fhir/R4/valueset-medicationrequest-status.html).
NEW_STATUSES = ("draft", "active", "completed", "stopped")
# `unknown` is for systems that took over data without its status; no client of ours decides that.
STATUSES = ("active", "on-hold", "cancelled", "completed", "entered-in-error", "stopped", "draft")
DEFAULT_STATUS = "active"
# What each status can become. To stay is always legal.
STEPS: Mapping[str, tuple[str, ...]] = {
    "draft": ("active", "cancelled", "entered-in-error"),
    "active": ("on-hold", "completed", "stopped", "cancelled", "entered-in-error"),
    "on-hold": ("active", "stopped", "cancelled", "completed", "entered-in-error"),
    "completed": ("entered-in-error",),
    "stopped": ("entered-in-error",),
    "cancelled": ("entered-in-error",),
    "entered-in-error": (),
    "unknown": (),
}

LONGEST_NAME = 200
LONGEST_ADDRESS = 500
MOST_MEDICATIONS = 100
LARGEST_BYTES = 1024 * 1024  # of a whole prescription, so that one always fits a page
QUANTITY = re.compile(r"[0-9]{1,9}(\.[0-9]{1,4})?")
OVERHEAD_BYTES = 640  # more than ids, stamps, tags and lengths of a prescription take in a message
MEDICATION_BYTES = 80  # the same for a medication


@dataclass(frozen=True, slots=True, kw_only=True)
class Medication:
    """One medication; `quantity` is a decimal as text, None means absent."""

    medication_name: str = ""
    dosage: str = ""
    rxnorm_code: str = ""
    sig: str = ""
    quantity: str = ""
    days_supply: int | None = None
    refills: int | None = None
    reason: str = ""
    strength: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrescriptionContent:
    """What a client writes."""

    patient_id: int = 0
    doctor_id: int = 0
    medications: tuple[Medication, ...] = ()
    status: str = ""
    mail_to: str = ""
    patient_name: str = ""
    prescriber_name: str = ""
    written_on: str = ""
    patient_birth_date: str = ""
    patient_address: str = ""
    prescriber_address: str = ""
    source_id: str = ""


Prescription = Document[PrescriptionContent]


def created(content: PrescriptionContent, read_only: Mapping[str, object], today: str) -> PrescriptionContent:
    """The content of a new prescription, defaults filled in.

    Args:
        content: what the client sent.
        read_only: what it sent in the fields that only the service sets.
        today: YYYY-MM-DD in UTC, for one that does not say when it was written.

    Raises:
        Invalid: naming every field that is not acceptable.
    """
    rules = Rules()
    for field, value in read_only.items():
        rules.absent(field, value)
    _check(content, NEW_STATUSES, rules)
    rules.enforce()
    return replace(content, status=content.status or DEFAULT_STATUS, written_on=content.written_on or today)


def accepted(prescription_id: int, content: PrescriptionContent, version: int = 0) -> PrescriptionContent:
    """The content of the next version, as far as that can be judged without the stored one.

    Args:
        prescription_id: the stored one's.
        content: what the client sent.
        version: which version it expects to replace; 0 for any.

    Raises:
        Invalid: naming every field that is not acceptable.
    """
    rules = Rules()
    rules.identifier("prescription_id", prescription_id)
    rules.amount("version", version)
    _check(content, STATUSES, rules)
    rules.enforce()
    return content


def changed(stored: PrescriptionContent, content: PrescriptionContent) -> PrescriptionContent:
    """The next content of a stored prescription: its patient and its source_id stay.

    A written_on that is left out stays too: were it today's, the same request would do different things tomorrow.
    So does a status: leaving it out must not take up again what was on hold.

    Raises:
        Invalid: it belongs to another patient or source_id.
        IllegalStep: its status cannot become the one that is asked for.
    """
    rules = Rules()
    rules.kept("patient_id", content.patient_id, stored.patient_id)
    rules.kept("source_id", content.source_id or stored.source_id, stored.source_id)
    rules.enforce()
    status = content.status or stored.status
    if status != stored.status and status not in STEPS[stored.status]:
        raise IllegalStep(stored.status, STEPS[stored.status])
    written_on = content.written_on or stored.written_on
    return replace(content, source_id=stored.source_id, written_on=written_on, status=status)


def weight(content: PrescriptionContent) -> int:
    """The most bytes that a prescription with this content takes in a message."""
    texts = (content.patient_name, content.prescriber_name, content.patient_address, content.prescriber_address)
    medications = sum(MEDICATION_BYTES + text_bytes(*_texts(one)) for one in content.medications)
    return OVERHEAD_BYTES + text_bytes(content.mail_to, *texts) + medications


def _texts(one: Medication) -> tuple[str, ...]:
    return (
        one.medication_name,
        one.dosage,
        one.rxnorm_code,
        one.sig,
        one.quantity,
        one.reason,
        one.strength,
        one.form,
    )


def _check(content: PrescriptionContent, statuses: Collection[str], rules: Rules) -> None:
    rules.identifier("patient_id", content.patient_id)
    rules.identifier("doctor_id", content.doctor_id)
    if content.status:
        rules.choice("status", content.status, statuses)
    rules.day("written_on", content.written_on)
    rules.day("patient_birth_date", content.patient_birth_date)
    _check_mail_to(content.mail_to, rules)
    rules.line("patient_name", content.patient_name, most=LONGEST_NAME)
    rules.line("prescriber_name", content.prescriber_name, most=LONGEST_NAME)
    rules.lines("patient_address", content.patient_address, most=LONGEST_ADDRESS)
    rules.lines("prescriber_address", content.prescriber_address, most=LONGEST_ADDRESS)
    rules.source_id(content.source_id)
    _check_medications(content, rules)


def _check_mail_to(value: str, rules: Rules) -> None:
    try:
        if value:
            transmitted(value)
    except MailboxError as error:
        rules.refuse("mail_to", str(error))


def _check_medications(content: PrescriptionContent, rules: Rules) -> None:
    if not content.medications:
        rules.refuse("medications", "must name at least one medication")
    elif len(content.medications) > MOST_MEDICATIONS:
        rules.refuse("medications", f"must name at most {MOST_MEDICATIONS} medications")
    else:
        for number, medication in enumerate(content.medications):
            _check_medication(f"medications[{number}]", medication, rules)
        if rules.kept_so_far and weight(content) > LARGEST_BYTES:
            rules.refuse("medications", "must not make the prescription larger than 1 MiB; shorten their texts")


def _check_medication(where: str, one: Medication, rules: Rules) -> None:
    rules.line(f"{where}.medication_name", one.medication_name, required=True)
    rules.line(f"{where}.rxnorm_code", one.rxnorm_code)
    rules.line(f"{where}.strength", one.strength)
    rules.line(f"{where}.form", one.form)
    rules.lines(f"{where}.dosage", one.dosage)
    rules.lines(f"{where}.sig", one.sig)
    rules.lines(f"{where}.reason", one.reason)
    if one.quantity and not QUANTITY.fullmatch(one.quantity):
        rules.refuse(f"{where}.quantity", "must be a decimal such as 30 or 2.5, with at most 9 and 4 digits")
    rules.amount(f"{where}.days_supply", one.days_supply)
    rules.amount(f"{where}.refills", one.refills)
