"""Who calls and how long they wait, out of the call being handled."""

import re

from mesh.server import current
from storage.columns import PRINCIPAL_LENGTH
from storage.errors import Invalid, Violation

NO_LOGIN = "local"
PRINCIPAL = re.compile(rf"[ -~]{{1,{PRINCIPAL_LENGTH}}}")


def principal() -> str:
    """The subject that the caller names in the metadata; without login it is `local`.

    Raises:
        Invalid: it is no name that could be kept.
    """
    subject = current().headers.get("principal", NO_LOGIN)
    if not PRINCIPAL.fullmatch(subject):
        raise Invalid([Violation("principal", f"must be 1 to {PRINCIPAL_LENGTH} visible ASCII characters")])
    return subject


def patience() -> float | None:
    """Seconds that the caller still waits; None where it set no deadline."""
    return current().remaining()
