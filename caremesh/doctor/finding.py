"""One line of what the doctor says."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["well", "note", "wrong"]


@dataclass(frozen=True)
class Finding:
    """What was looked at and how it is; whatever is wrong has a remedy. A note alone fails nothing."""

    level: Level
    what: str
    told: str
    remedy: str = ""


def well(what: str, told: str) -> Finding:
    """As it should be."""
    return Finding("well", what, told)


def note(what: str, told: str, remedy: str = "") -> Finding:
    """Worth knowing."""
    return Finding("note", what, told, remedy)


def wrong(what: str, told: str, remedy: str) -> Finding:
    """To be mended."""
    return Finding("wrong", what, told, remedy)
