"""Who asks. Without login there is one principal, and each process listens on loopback only."""

from dataclasses import dataclass
from enum import Enum


class Access(Enum):
    """Who may call an operation. Every route has one of these; a test walks them."""

    ANYONE = "anyone"
    """Says nothing of a patient: probes and documentation."""

    CLINIC = "clinic"
    """Whoever has a principal."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        subject: the name that the services keep as `updated_by`.
        role: what it may do; the only one so far is "clinician".
        patient_id: the only patient it may see, or None for all.
    """

    subject: str
    role: str
    patient_id: int | None = None


LOCAL = Principal("local", "clinician")


def principal_of(access: Access) -> Principal | None:
    """The principal of a request, or None where none is needed."""
    return None if access is Access.ANYONE else LOCAL
