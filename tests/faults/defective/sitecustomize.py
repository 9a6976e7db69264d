"""Plants a defect in a real process: Python imports a module of this name at its start when the path has it.

CAREMESH_TEST_DEFECT names one of `tests.faults.patches`.
"""

import os

if "CAREMESH_TEST_DEFECT" in os.environ:
    from tests.fakes.planting import plant_on_import
    from tests.faults import patches

    patch: patches.Patch = getattr(patches, os.environ["CAREMESH_TEST_DEFECT"])
    plant_on_import({patch.module: lambda module: patch.plant(module, setattr)})
