"""The policy table: a file that says what each method of each service may cost and repeat. Read strictly."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mesh.call import Level
from mesh.policy.admission import AdmissionPolicy
from mesh.policy.cache import CachePolicy
from mesh.policy.calls import AttemptPolicy, BudgetPolicy, DeadlinePolicy, HedgePolicy, RetryPolicy
from mesh.policy.endpoints import BalancePolicy, CircuitPolicy, EjectionPolicy
from mesh.policy.methods import MethodPolicy
from mesh.policy.service import Policy
from mesh.policy.values import shown, taken, unknown, wrong

# A service's tables: the field of Policy, its class, and which of its figures are parts of a whole.
TABLES: dict[str, tuple[str, type, tuple[str, ...]]] = {
    "deadline": ("deadline", DeadlinePolicy, ()),
    "retry": ("retry", RetryPolicy, ()),
    "budget": ("budget", BudgetPolicy, ("share",)),
    "hedge": ("hedge", HedgePolicy, ("quantile", "share")),
    "attempt": ("attempt", AttemptPolicy, ("quantile",)),
    "cache": ("cache", CachePolicy, ("jitter",)),
    "balance": ("balance", BalancePolicy, ("first_share",)),
    "ejection": ("ejection", EjectionPolicy, ("share", "most")),
    "breaker": ("circuit", CircuitPolicy, ("share",)),
    "admission": ("admission", AdmissionPolicy, ("unloaded",)),
}
EXAMPLE = MethodPolicy(safe=True, idempotent=True, deadline=2.0)
COLUMNS = {name: getattr(EXAMPLE, name) for name in MethodPolicy.__dataclass_fields__}
"""What each method says, and an example of it."""


class PolicyError(Exception):
    """Every wrong entry of a policy table: file, table, key, and what to write instead."""

    def __init__(self, file: Path, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))


def load(file: Path, services: Mapping[str, Mapping[str, Level]], caller: str = "") -> dict[str, Policy]:
    """The policy of each service, out of a TOML file.

    Args:
        file: such as policy.toml.
        caller: whoever calls them; it may have a table, too, which says what it takes on itself (`admission`).
        services: the methods of each by name, with their `.proto`'s idempotency_level (`levels_of`).

    Raises:
        PolicyError: naming every wrong entry, every method without one, and every contradiction with the `.proto`.
    """
    table, problems = _parsed(file), list[str]()
    known = {*services, caller}
    problems += [unknown(name, services, "") for name in table if name not in known]
    _own(table, caller, problems)
    found = {name: _service(name, table.get(name), levels, problems) for name, levels in services.items()}
    if problems:
        raise PolicyError(file, problems)
    return found


def admission(file: Path, name: str) -> AdmissionPolicy:
    """What one process takes on, by the table `[name.admission]`; whatever else is in the file is not looked at.

    Raises:
        PolicyError: naming every wrong entry of that table.
    """
    problems = list[str]()
    own = _own(_parsed(file), name, problems)
    if problems:
        raise PolicyError(file, problems)
    return own


def levels_of(service: str, table: Mapping[str, str]) -> dict[str, Level]:
    """The methods of a service (such as "shop.v1.Orders") by name, out of a table of every method's level by path."""
    of_it = {path: level for path, level in table.items() if path.startswith(f"/{service}/")}
    return {path.rpartition("/")[2]: Level(level) for path, level in of_it.items()}


def warnings(policies: Mapping[str, Policy]) -> list[str]:
    """What is allowed and hardly meant: attempts that the deadline leaves no time for."""
    return [
        f"[{service}.methods] {name}: {method.attempts} attempts of up to {policy.attempt.most:g} s and the pauses "
        f"between them take {needed:.3g} s, its deadline is {method.deadline:g} s; the last may never be made: "
        f"lower attempts or [{service}.attempt] most, or raise the deadline"
        for service, policy in policies.items()
        for name, method in policy.methods.items()
        if (needed := _longest(policy, method)) > method.deadline
    ]


def _own(table: Mapping[str, Any], name: str, problems: list[str]) -> AdmissionPolicy:
    mine = table.get(name, {})
    if not isinstance(mine, dict):
        problems.append(f"[{name}] must be a table: write [{name}.admission] and its entries below it")
        return AdmissionPolicy()
    problems += [
        unknown(key, ["admission"], f"[{name}] ") for key in mine if key not in ("probe_interval", "methods", *TABLES)
    ]
    kind, shares = TABLES["admission"][1:]
    own: AdmissionPolicy = taken(kind, mine.get("admission", {}), f"{name}.admission", shares, problems)
    return own


def _longest(policy: Policy, method: MethodPolicy) -> float:
    """Seconds that all attempts and the pauses between them may take; 0 where they are not bounded one by one."""
    if method.idempotent is False or method.attempts == 1 or policy.attempt.mode != "enforce":
        return 0.0
    pauses = (min(policy.retry.cap, policy.retry.base * 2.0**number) for number in range(method.attempts - 1))
    return method.attempts * policy.attempt.most + sum(pauses)


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        told = f"cannot be read ({error.strerror}); mend its path or its permissions"
    except UnicodeDecodeError as error:
        told = f"byte {error.start} is not UTF-8; save the file as UTF-8"
    except tomllib.TOMLDecodeError as error:
        told = f"is not TOML: {error}; see https://toml.io"
    raise PolicyError(file, [told])


def _service(name: str, table: object, levels: Mapping[str, Level], problems: list[str]) -> Policy:
    if not isinstance(table, dict):
        what = "is missing" if table is None else "must be a table"
        problems.append(f"[{name}] {what}; write [{name}.methods] and a line for each of {', '.join(levels)}")
        return Policy()
    known = ("probe_interval", "methods", *TABLES)
    problems += [unknown(key, known, f"[{name}] ") for key in table if key not in known]
    interval = table.get("probe_interval", Policy().probe_interval)
    if problem := wrong(f"[{name}] probe_interval", "probe_interval", interval, 1.0):
        problems.append(problem)
        interval = 1.0
    parts: dict[str, Any] = {
        field: taken(kind, table.get(key, {}), f"{name}.{key}", shares, problems)
        for key, (field, kind, shares) in TABLES.items()
    }
    methods = _methods(f"{name}.methods", table.get("methods", {}), levels, problems)
    return Policy(methods=methods, probe_interval=float(interval), **parts)


def _methods(where: str, table: Any, levels: Mapping[str, Level], problems: list[str]) -> dict[str, MethodPolicy]:
    if not isinstance(table, dict):
        problems.append(f"[{where}] must be a table: write [{where}] and a line for each method below it")
        return {}
    problems += [unknown(name, levels, f"[{where}] ") for name in table if name not in levels]
    found = {}
    for name, level in levels.items():
        if name not in table:
            problems.append(f"[{where}] {name}: is missing; write {name} = {{ {_line()} }} with what holds for it")
        elif not isinstance(table[name], dict):
            problems.append(f"[{where}] {name}: must be in braces; write {name} = {{ {_line()} }}")
        elif not (wrongs := list(_wrong(f"[{where}] {name}.", table[name], level))):
            found[name] = MethodPolicy(**{**table[name], "deadline": float(table[name]["deadline"])})
        else:
            problems += wrongs
    return found


def _line() -> str:
    return ", ".join(f"{name} = {shown(value)}" for name, value in COLUMNS.items())


def _wrong(where: str, row: Mapping[str, Any], level: Level) -> Iterator[str]:
    yield from (unknown(name, COLUMNS, where) for name in row if name not in COLUMNS)
    for name, example in COLUMNS.items():
        if name not in row:
            yield f"{where}{name}: is missing; write e.g. {name} = {shown(example)}"
        elif problem := wrong(where + name, name, row[name], example):
            yield problem
    yield from _contradictions(where, row, level)


def _contradictions(where: str, row: Mapping[str, Any], level: Level) -> Iterator[str]:
    """With the `.proto`, whose word holds, and of the row with itself."""
    safe, idempotent = row.get("safe"), row.get("idempotent")
    if isinstance(safe, bool) and safe is not (level is Level.NO_SIDE_EFFECTS):
        yield f"{where}safe: its .proto says {level.value}; write safe = {shown(not safe)}, or mend the .proto"
    if (idempotent is True) is (level is Level.UNKNOWN) and idempotent in (True, False, "keyed"):
        instead = "true" if level is not Level.UNKNOWN else 'false, or "keyed" where it knows idempotency keys'
        yield f"{where}idempotent: its .proto says {level.value}; write idempotent = {instead}, or mend the .proto"
    for name in ("hedge", "cache"):
        if row.get(name) is True and safe is False:
            yield f"{where}{name}: is for safe methods only; write {name} = false"
