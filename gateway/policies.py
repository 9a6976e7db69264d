"""The policy table of the services that the gateway calls."""

from collections.abc import Mapping
from pathlib import Path

from mesh.policy import AdmissionPolicy, Policy
from mesh.policy.table import admission, levels_of, load
from protos.generated.levels import LEVELS

SERVICES = {
    "records": "caremesh.v1.PatientRecordsService",
    "prescriptions": "caremesh.v1.PrescriptionManagementService",
}
"""The name under which its endpoints register, and the name in its `.proto`."""

GATEWAY = "gateway"


def policies(file: str) -> Mapping[str, Policy]:
    """By service; with no file, each has what the mesh takes by default.

    Raises:
        PolicyError: naming all that is wrong with the file.
    """
    if not file:
        return {name: Policy() for name in SERVICES}
    return load(Path(file), {name: levels_of(service, LEVELS) for name, service in SERVICES.items()}, GATEWAY)


def takes_on(file: str) -> AdmissionPolicy:
    """How much the gateway itself takes on.

    Raises:
        PolicyError: naming all that is wrong with it.
    """
    return admission(Path(file), GATEWAY) if file else AdmissionPolicy()
