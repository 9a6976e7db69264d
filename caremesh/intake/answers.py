"""What the gateway's answers mean to a writer. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AGAIN = frozenset({429, 502, 503, 504})
UNCLEAR = frozenset({502, 504})  # the server behind the gateway was asked and did not answer
LONGEST = 30.0  # seconds; a Retry-After beyond is not obeyed
SHOWN = 120  # characters of one message


@dataclass(frozen=True)
class Taken:
    """201: the row is new."""


@dataclass(frozen=True)
class Present:
    """409 with the Location of the row that has this source_id."""


@dataclass(frozen=True)
class Again:
    """Try later, at the earliest after so many seconds; `unclear`: the row may have been written all the same."""

    reason: str
    after: float
    unclear: bool


@dataclass(frozen=True)
class Refused:
    """The row will not be taken as it is; `fault` is whose it is: the row's (4xx) or the gateway's."""

    reason: str
    fault: str


Answer = Taken | Present | Again | Refused


def judge(status: int, headers: Mapping[str, str], problem: Any) -> Answer:
    """What to do after this answer; `problem` is its JSON, None if it had none."""
    if status == 201:  # noqa: PLR2004  # Created
        return Taken()
    if status == 409 and "Location" in headers:  # noqa: PLR2004  # Conflict
        return Present()
    if status in AGAIN:
        after = retry_after(headers.get("Retry-After", ""))
        return Again(f"{status} {_title(problem)}".strip(), after, unclear=status in UNCLEAR)
    return Refused(_reason(status, problem), "gateway" if status >= 500 else "row")  # noqa: PLR2004  # Server Error


def retry_after(text: str) -> float:
    """The seconds of a Retry-After header; 0 for none, a date or nonsense."""
    return min(float(text), LONGEST) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0  # noqa: PLR2004


def _reason(status: int, problem: Any) -> str:
    """Fields and what is wrong with them; the gateway's messages never hold the value."""
    errors = problem.get("errors") if isinstance(problem, dict) else None
    told = [f"{one.get('field')} {one.get('message')}" for one in errors or [] if isinstance(one, dict)]
    return f"{status} {'; '.join(text[:SHOWN] for text in told) or _title(problem)}".strip()


def _title(problem: Any) -> str:
    title = problem.get("title") if isinstance(problem, dict) else None
    return title[:SHOWN] if isinstance(title, str) else ""
