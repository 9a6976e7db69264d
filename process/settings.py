"""Settings out of the environment: read once, checked whole, frozen.

A field `port` is read from `CAREMESH_PORT`, or from the file that `CAREMESH_PORT_FILE` names
(so that a secret need not stand in the environment).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

PREFIX = "CAREMESH_"


class SettingsError(Exception):
    """Every bad setting in one text, each with its remedy. It never holds a value."""


class Settings(BaseModel):
    """The base of each process's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def setting(default: Any, description: str, *, env: str = "", **limits: Any) -> Any:
    """A field: its default, what it means (with its unit), its variable where that is not CAREMESH_<NAME>."""
    return Field(default, description=description, json_schema_extra={"env": env} if env else None, **limits)


S = TypeVar("S", bound=Settings)


def load(cls: type[S], environ: Mapping[str, str]) -> S:
    """Reads the settings of one process.

    Raises:
        SettingsError: naming every variable that is wrong.
    """
    found, problems = {}, []
    for name, field in cls.model_fields.items():
        try:
            value = _read(variable(name, field), environ)
        except SettingsError as error:
            problems.append(str(error))
        else:
            if value is not None:
                found[name] = value
    try:
        settings = cls(**found)
    except ValidationError as error:
        problems += [_told(cls, dict(item)) for item in error.errors()]
    if problems:
        raise SettingsError("these settings are wrong:\n" + "\n".join(f"  {problem}" for problem in problems))
    return settings


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable that a field is read from."""
    extra = field.json_schema_extra
    return str(extra["env"]) if isinstance(extra, dict) and "env" in extra else PREFIX + name.upper()


def table(cls: type[Settings]) -> str:
    """The settings of a process as a Markdown table."""
    rows = [
        f"| `{variable(name, field)}` | {_default(field)} | {field.description} |"
        for name, field in cls.model_fields.items()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def _default(field: FieldInfo) -> str:
    if isinstance(field.default, bool):
        return f"`{field.default}`".lower()
    return f"`{field.default}`" if field.default not in ("", ()) else "empty"


def _read(name: str, environ: Mapping[str, str]) -> str | None:
    direct, file = environ.get(name), environ.get(f"{name}_FILE")
    if direct is not None and file is not None:
        raise SettingsError(f"{name} and {name}_FILE are both set; keep one of them")
    if file is None:
        return direct
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{name}_FILE names a file that cannot be read ({type(error).__name__}); mend the path"
        ) from None


def _told(cls: type[Settings], item: dict[str, Any]) -> str:
    if not item["loc"]:
        return str(item["msg"]).removeprefix("Value error, ")
    name = str(item["loc"][0])
    return f"{variable(name, cls.model_fields[name])}: {str(item['msg']).removeprefix('Value error, ')}"
