"""/prescriptions and /patients/{patient_id}/prescriptions."""

from quart import Blueprint

from gateway.http.problems import ILLEGAL_STEP
from gateway.routes.collection import blueprint as routes_of
from gateway.routes.deliveries import OF_A_PATIENT, add_deliveries
from gateway.routes.described import Collection
from gateway.schemas import (
    NewPrescription,
    Prescription,
    PrescriptionHistory,
    PrescriptionPage,
    PrescriptionReplacement,
)
from gateway.upstreams import PrescriptionsClient
from mesh.clock import Clock


def blueprint(client: PrescriptionsClient, clock: Clock, *, match_required: bool = False) -> Blueprint:
    """The routes of prescriptions."""
    prescriptions = Collection(
        noun="prescription",
        new=NewPrescription,
        replacement=PrescriptionReplacement,
        item=Prescription,
        page=PrescriptionPage,
        history=PrescriptionHistory,
        client=client,
        match_required=match_required,
        refusals=(ILLEGAL_STEP,),
        kept=", but leaves `status` and `written_on` as they are where it does not name them",
        views={"deliveries": OF_A_PATIENT},
    )
    made = routes_of(prescriptions, clock)
    add_deliveries(made, client, clock)
    return made
