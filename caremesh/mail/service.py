"""Asks the prescription service's own command."""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from caremesh.config import KINDS, Config
from caremesh.endings import Refused
from caremesh.up.plan import environments
from process.settings import load
from storage.address import SqlitePlace, place_of
from storage.errors import StorageError, Unavailable

SERVICE = "prescriptions"


def ask(config: Config, environ: Mapping[str, str], *arguments: str) -> Any:
    """What `python -m svc_prescriptions mail …` answers, in the environment that caremesh.toml gives it.

    Raises:
        Refused: it does not do it; the text says why, and what to do.
        SettingsError: the service would not take its settings.
    """
    hosted = import_module(f"{KINDS[SERVICE]}.wiring").hosted()
    settings = load(hosted.settings, environments(config, environ)[SERVICE])
    place = place_of(settings.database)
    if isinstance(place, SqlitePlace) and not place.file.exists():
        raise Refused(f"no clinic was started on {config.data} yet; `caremesh up` starts it")
    try:
        return json.loads(hosted.command(["mail", *arguments])(hosted, settings))
    except StorageError as error:
        remedy = "; `caremesh doctor` looks for what is wrong" if isinstance(error, Unavailable) else ""
        raise Refused(f"{error}{remedy}") from error
