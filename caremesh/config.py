"""caremesh.toml: which processes run on this machine, how many of each, where. Read strictly."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_FILE = "caremesh.toml"
MOST = 32  # of one kind: beyond this it is a typing error
# The order of starting; stopping goes the other way round.
KINDS = {
    "registry": "caremesh.registry",
    "mail-sink": "caremesh.sink",
    "records": "svc_records",
    "prescriptions": "svc_prescriptions",
    "gateway": "gateway",
}
OPTIONAL = ("mail-sink",)  # there may be none of them: count = 0, or no such table
# What `caremesh up` itself hands to each process, and what to write instead.
OWNED = {
    "CAREMESH_PORT": "`port` of the kind",
    "CAREMESH_HOST": "nothing: this machine's processes listen on 127.0.0.1",
    "CAREMESH_PROCESS": "nothing: `caremesh up` names its processes",
    "CAREMESH_REGISTRIES": "`port` under [registry]",
    "CAREMESH_CONTROL_PORT": "nothing: `caremesh up` chooses it",
    "CAREMESH_CONTROL_TOKEN": "nothing: `caremesh up` makes it, for each start anew",
    "CAREMESH_PARENT_FD": "nothing: `caremesh up` sets it",
}
EXAMPLES = {"data": "var", "policy": "policy.toml"}
_VARIABLE = re.compile(r"(CAREMESH|OTEL)_[A-Z0-9_]+")


@dataclass(frozen=True)
class Kind:
    """One kind of process: `count` of them, the first on `port` (0: any free one)."""

    name: str
    count: int = 1
    port: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """What caremesh.toml says; `data` and `policy` are absolute, the latter None where it names none."""

    file: Path
    data: Path
    policy: Path | None
    kinds: Mapping[str, Kind]


class ConfigError(Exception):
    """Every bad entry of the file, each with its remedy."""

    def __init__(self, file: Path, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(f"{file}: {problem}" for problem in self.problems))


def read(file: Path) -> Config:
    """Reads and checks the file.

    Raises:
        ConfigError: naming every bad entry.
    """
    table = _parse(file)
    known = ("data", "policy", *KINDS)
    problems = [_unknown(key, known, "") for key in table if key not in known]
    data = _place(file, "data", table.get("data", "var"), "a folder", problems)
    policy = _place(file, "policy", table["policy"], "a file", problems) if "policy" in table else None
    kinds = {name: _kind(name, table.get(name), problems) for name in KINDS}
    if problems:
        raise ConfigError(file, problems)
    return Config(file, data, policy, kinds)


def _place(file: Path, key: str, value: object, what: str, problems: list[str]) -> Path:
    """A path, absolute; it is relative to the file."""
    if not isinstance(value, str) or not value.strip():
        problems.append(f'{key}: must name {what} in quotes, e.g. {key} = "{EXAMPLES[key]}"')
        return file.parent
    return (file.parent / Path(value).expanduser()).resolve()


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "run in the folder that holds it, or name it: --config FILE"
        raise ConfigError(file, [f"there is no such file; {remedy}"]) from None
    except OSError as error:
        raise ConfigError(file, [f"cannot be read ({error.strerror}); mend its permissions or its path"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError(file, [f"byte {error.start} is not UTF-8; save the file as UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file, [f"is not TOML: {error}; see https://toml.io"]) from None


def _unknown(key: str, known: Iterable[str], where: str) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    remedy = f"did you mean {close[0]!r}?" if close else f"remove it; known are {', '.join(known)}"
    return f"{where}{key}: no such entry; {remedy}"


def _kind(name: str, table: object, problems: list[str]) -> Kind:
    least = 0 if name in OPTIONAL else 1
    if table is None and not least:
        return Kind(name, 0)
    if not isinstance(table, dict):
        what = "is missing" if table is None else "must be a table"
        problems.append(f"[{name}] {what}; write\n  [{name}]\n  count = 1\n  port = 0")
        return Kind(name)
    known = ("count", "port", "environment")
    problems += [_unknown(key, known, f"[{name}] ") for key in table if key not in known]
    count = _number(f"[{name}] count", table.get("count", 1), least, MOST, problems)
    port = _number(f"[{name}] port", table.get("port", 0), 0, 65535, problems)
    return Kind(name, count, port, _environment(name, table.get("environment", {}), problems))


def _number(where: str, value: object, low: int, high: int, problems: list[str]) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    problems.append(f"{where}: must be a whole number from {low} to {high}")
    return low


def _environment(kind: str, table: object, problems: list[str]) -> dict[str, str]:
    where = f"[{kind}.environment]"
    if not isinstance(table, dict):
        problems.append(f"{where} must be a table of settings")
        return {}
    problems += [problem for key, value in table.items() if (problem := _variable(f"{where} {key}", key, value))]
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in table.items()}


def _variable(where: str, key: str, value: object) -> str | None:
    owned = OWNED.get(key.removesuffix("_FILE"))
    if owned is not None:
        return f"{where}: is not set here; use {owned}"
    if not _VARIABLE.fullmatch(key):
        return f"{where}: settings are named CAREMESH_… or OTEL_… in capitals"
    if not isinstance(value, str | int | float):
        return f"{where}: must be text, a number, true or false"
    if "\0" in str(value):
        return f"{where}: holds a NUL character; remove it"
    return None
