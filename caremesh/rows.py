"""A row to be written through the REST API: what importer, demo and writer agree on."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

Collection = Literal["records", "prescriptions"]


@dataclass(frozen=True)
class Row:
    """One POST.

    `group` names what it belongs to in the report ("conditions"), `where` finds it again for a person
    ("conditions.csv line 17") and holds nothing of the patient.
    """

    collection: Collection
    body: Mapping[str, Any]
    group: str
    where: str


def digest(*parts: str) -> str:
    """32 hexadecimal characters that stand for the parts; other parts, other digits.

    Source ids are made of it, not of the parts: these may be longer than an id, and name a patient.
    """
    joined = "\0".join(parts).encode("utf-8")
    return blake2b(joined, digest_size=16).hexdigest()


def choice(key: str, among: int) -> int:
    """A number from 1 to `among` that is the same for this key in every run and on every machine."""
    return int.from_bytes(blake2b(key.encode("utf-8"), digest_size=8).digest(), "big") % among + 1
