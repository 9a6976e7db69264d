"""Loses invalidations in a real process: Python imports a module of this name at its start when the path has it.

Of what Redis tells a gateway of the others, it hears all but a share of CAREMESH_TEST_LOST.
"""

import os
import random
from types import ModuleType
from typing import Any

from tests.fakes.planting import plant_on_import

LOST = float(os.environ.get("CAREMESH_TEST_LOST", "0"))


def plant(module: ModuleType) -> None:
    told = vars(module)["RedisStore"]._told

    def hears(self: Any, message: Any, tell: Any) -> None:
        if message["type"] != "message" or random.random() >= LOST:
            told(self, message, tell)

    vars(module)["RedisStore"]._told = hears


plant_on_import({"mesh.cache.redis": plant})
