"""Whether each kind of process would take its settings, asked of their own settings classes before anything starts."""

import difflib
import importlib
from collections.abc import Collection, Iterable, Mapping

from caremesh.config import KINDS, Config
from process.settings import Settings, SettingsError, load, variable


def settings_class(kind: str) -> type[Settings]:
    """The settings class of a kind of process: the one that its `settings` module defines."""
    module = importlib.import_module(f"{KINDS[kind]}.settings")
    classes = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Settings)]
    return next(one for one in classes if one.__module__ == module.__name__)


def problems(config: Config, environments: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What is wrong with the environment of each kind (kind → complete environment), each with its remedy."""
    found = [text for kind in config.kinds for text in _unknown(config, kind)]
    return found + [text for kind, environment in environments.items() for text in _refused(kind, environment)]


def variables(kind: str) -> list[str]:
    """The settings that a kind of process reads."""
    return [variable(name, field) for name, field in settings_class(kind).model_fields.items()]


def misspelt(environ: Iterable[str]) -> list[str]:
    """The CAREMESH_… variables that no process reads, with what may have been meant."""
    known = {name for kind in KINDS for name in variables(kind)} | {"CAREMESH_PARENT_FD"}
    strange = [name for name in environ if name.startswith("CAREMESH_") and not name.startswith("CAREMESH_TEST_")]
    return [f"{name}{_meant(name, known)}" for name in sorted(strange) if not _is_known(name, known)]


def _unknown(config: Config, kind: str) -> list[str]:
    known = variables(kind)
    return [
        f"{config.file}: [{kind}.environment] {name}: {kind} has no such setting{_meant(name, known)}"
        for name in config.kinds[kind].environment
        if not _is_known(name, known) and not name.startswith("OTEL_")
    ]


def _is_known(name: str, known: Collection[str]) -> bool:
    """Whether it is a setting, or names the file that one stands in; some names end in _FILE themselves."""
    return name in known or name.removesuffix("_FILE") in known


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; remove it"


def _refused(kind: str, environment: Mapping[str, str]) -> list[str]:
    try:
        load(settings_class(kind), environment)
    except SettingsError as error:
        return [f"{kind}: {line.strip()}" for line in str(error).splitlines()[1:]]  # the first is a heading
    return []
