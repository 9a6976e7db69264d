"""What a letter says, in order, whatever it is written on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from svc_prescriptions.domain import Medication, Prescription, PrescriptionContent
from svc_prescriptions.letter.texts import clean

NOT_STATED = "not stated"
NEW, REVISION, CANCELLATION = "new", "revision", "cancellation"

WHY: Mapping[str, tuple[str, str]] = {
    "stopped": ("stopped", "The prescriber has stopped the treatment."),
    "cancelled": ("cancelled", "The prescriber has cancelled the prescription."),
    "on-hold": ("on hold", "The prescription is on hold. If it is taken up again, a new letter will say so."),
    "entered-in-error": ("entered in error", "The prescription was entered in error."),
    "deleted": ("deleted", "The prescription was taken out of the clinic's files."),
    "mail_to changed": ("not addressed to you any more", "The prescription is not addressed to you any more."),
    "": ("cancelled", "The prescription does not hold any more."),
}
VOID = "Every letter of ours about it is void: do not dispense by any of them."
REPLACED = (
    "This letter replaces every earlier one about this prescription. They are void: do not dispense by any of them."
)
AGAIN = (
    "This letter may have reached you already: the mail system did not say whether an earlier sending arrived. "
    "It is the same letter, and no second prescription."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a letter is about.

    Attributes:
        kind: new, revision or cancellation.
        prescription: the version that it shows, or that it cancels; its `mail_to` gets the letter.
        version: of the prescription, whose writing made the letter.
        message_id: `<…@…>`, for good.
        replaces: the Message-ID of the letter that it replaces or cancels, or "".
        reason: of a cancellation: a key of WHY.
        again: whether it may have arrived before.
    """

    kind: str
    prescription: Prescription
    version: int
    message_id: str
    replaces: str = ""
    reason: str = ""
    again: bool = False

    @property
    def cancels(self) -> bool:
        return self.kind == CANCELLATION


Rows = Sequence[tuple[str, str]]
"""Labels and what stands behind them; a text may have several lines."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A letter's words.

    Attributes:
        subject: without a word about the patient.
        title: what it is about.
        warning: in large letters, or "".
        notes: sentences to read first.
        parts: titles and rows.
    """

    subject: str
    title: str
    warning: str
    notes: Sequence[str]
    parts: Sequence[tuple[str, Rows]]


def sheet(letter: Letter) -> Sheet:
    """What a letter says."""
    content = letter.prescription.content
    return Sheet(
        _subject(letter),
        f"Prescription {letter.prescription.key}",
        f"Do not dispense: {_status(letter)}" if letter.cancels else "",
        _notes(letter),
        [
            ("State", _facts(letter)),
            ("Patient", _patient(content)),
            ("Prescriber", _prescriber(content)),
            *_medications(content.medications),
        ],
    )


def _subject(letter: Letter) -> str:
    number = f"rescription {letter.prescription.key}, version {letter.version}"
    if letter.cancels:
        return f"CANCELLED: p{number}. Do not dispense."
    return f"P{number}" + (": replaces every earlier letter" if letter.kind == REVISION else "")


def _notes(letter: Letter) -> list[str]:
    notes = []
    if letter.cancels:
        notes = [_why(letter)[1], VOID]
    elif letter.replaces or letter.kind == REVISION:
        notes = [REPLACED]
    return [*notes, AGAIN] if letter.again else notes


def _facts(letter: Letter) -> Rows:
    prescription = letter.prescription
    shown = f" (cancels version {prescription.version})" if letter.cancels else ""
    return _given(
        ("Status", _status(letter)),
        ("Written on", prescription.content.written_on or NOT_STATED),
        ("Version", f"{letter.version}{shown}"),
        ("Void letter", letter.replaces),
    )


def _why(letter: Letter) -> tuple[str, str]:
    return WHY.get(letter.reason, WHY[""])


def _status(letter: Letter) -> str:
    return _why(letter)[0] if letter.cancels else letter.prescription.content.status


def _patient(content: PrescriptionContent) -> Rows:
    return _given(
        ("Name", content.patient_name or NOT_STATED),
        ("Born on", content.patient_birth_date or NOT_STATED),
        ("Address", content.patient_address or NOT_STATED),
    )


def _prescriber(content: PrescriptionContent) -> Rows:
    return _given(
        ("Name", content.prescriber_name or NOT_STATED), ("Address", content.prescriber_address or NOT_STATED)
    )


def _medications(medications: Sequence[Medication]) -> list[tuple[str, Rows]]:
    many = len(medications)
    return [(f"Medication {number} of {many}", _medication(one)) for number, one in enumerate(medications, 1)]


def _medication(one: Medication) -> Rows:
    return _given(
        ("Name", one.medication_name),
        ("Strength", one.strength),
        ("Form", one.form),
        ("Dosage", one.dosage),
        ("Directions", one.sig),
        ("Quantity", one.quantity),
        ("Days' supply", _amount(one.days_supply)),
        ("Refills", _amount(one.refills)),
        ("Reason", one.reason),
        ("RxNorm", one.rxnorm_code),
    )


def _amount(value: int | None) -> str:
    return "" if value is None else str(value)


def _given(*rows: tuple[str, str]) -> Rows:
    """The rows that say something, fit to be read."""
    return [(label, clean(text)) for label, text in rows if text]
