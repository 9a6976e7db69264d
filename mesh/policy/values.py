"""Values of a policy table, checked one by one; each that is wrong is named with its remedy."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args

from mesh.policy.methods import PRIORITIES
from mesh.policy.mode import Mode

P = TypeVar("P")
CHOICES = {
    "mode": get_args(Mode),
    "late": get_args(Mode),
    "priority": PRIORITIES,
    "idempotent": (True, False, "keyed"),
}
ZERO = {"reserve", "base", "share", "per_second", "least", "slow_start", "stale", "refused", "jitter", "slack"}
"""Figures that may be 0; the others are above it."""
WHOLE_AT_MOST = {"attempts": 10}


def unknown(name: str, known: Iterable[str], where: str) -> str:
    """What to say of a name that is not known."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"{where}{name}: no such entry; " + (
        f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    )


def taken(kind: type[P], table: object, where: str, shares: Iterable[str], problems: list[str]) -> P:
    """One of the policies' classes out of its table; what is not in there has its default.

    What is wrong is added to the problems, under the table's name; `shares` are those of its figures that are parts
    of a whole.
    """
    if not isinstance(table, dict):
        problems.append(f"[{where}] must be a table: write [{where}] and its entries below it")
        return kind()
    defaults = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    problems += [unknown(name, defaults, f"[{where}] ") for name in table if name not in defaults]
    given = {name: value for name, value in table.items() if name in defaults}
    found = [wrong(f"[{where}] {name}", name, value, defaults[name], shares) for name, value in given.items()]
    problems += [problem for problem in found if problem]
    if any(found):
        return kind()
    whole = kind(**{name: _like(defaults[name], value) for name, value in given.items()})
    problems += [f"[{where}] {problem}" for problem in _disordered(whole)]
    return whole


def wrong(where: str, name: str, value: object, default: object, shares: Iterable[str] = ()) -> str | None:
    """What is wrong with a value; None if nothing is."""
    must = _must(name, value, default, shares)
    return f"{where}: must be {must}; write e.g. {name} = {shown(default)}" if must else None


def shown(value: object) -> str:
    """As TOML has it."""
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)


def _must(name: str, value: object, default: object, shares: Iterable[str]) -> str | None:
    if name in CHOICES:
        fits = any(value == choice and type(value) is type(choice) for choice in CHOICES[name])
        return None if fits else "one of " + ", ".join(shown(choice) for choice in CHOICES[name])
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, int):
        most = WHOLE_AT_MOST.get(name, 1_000_000)
        fits = number and isinstance(value, int) and 1 <= value <= most
        return None if fits else f"a whole number from 1 to {most}"
    least, highest = (0.0 if name in ZERO else 1e-9), (1.0 if name in shares else 1e9)
    if number and least <= float(value) <= highest:  # type: ignore[arg-type]  # a number
        return None
    above = "from 0" if name in ZERO else "above 0"
    return f"a number {above}" + (" to 1" if name in shares else "")


def _like(default: object, value: Any) -> Any:
    return float(value) if isinstance(default, float) else value


def _disordered(whole: object) -> list[str]:
    """Pairs of which the first must not be above the second."""
    pairs = (
        ("base", "cap"),
        ("least", "most"),
        ("least", "first"),
        ("first", "most"),
        ("open_for", "open_cap"),
        ("eject_for", "eject_cap"),
    )
    values: Mapping[str, Any] = {field.name: getattr(whole, field.name) for field in fields(whole)}  # type: ignore[arg-type]
    return [
        f"{low}: is {values[low]:g} and {high} is {values[high]:g}; it must not be above it"
        for low, high in pairs
        if low in values
        and high in values
        and values[low] > values[high]
        # Of an ejection these are seconds and a share of the endpoints.
        and not (low == "least" and "eject_for" in values)
    ]
