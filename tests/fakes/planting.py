"""Changes a module when it is imported, in a real process; for `sitecustomize` modules of tests."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

Plant = Callable[[ModuleType], None]


class Finder(importlib.abc.MetaPathFinder):
    """Lets the usual finders work, and plants into what they load."""

    def __init__(self, plants: Mapping[str, Plant]) -> None:
        self._plants = plants

    def find_spec(
        self, name: str, path: Any, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        plant = self._plants.get(name)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if plant else None
        if spec and spec.loader and plant:
            load = spec.loader.exec_module

            def execute(module: ModuleType) -> None:
                load(module)
                plant(module)

            vars(spec.loader)["exec_module"] = execute
        return spec


def plant_on_import(plants: Mapping[str, Plant]) -> None:
    """Each plant is called with its module, once that is loaded."""
    sys.meta_path.insert(0, Finder(plants))
