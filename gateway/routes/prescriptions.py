"""/prescriptions and /patients/{patient_id}/prescriptions."""

from quart import Blueprint

from gateway.routes import collection
from gateway.schemas import NewPrescription, Prescription, PrescriptionPage, PrescriptionReplacement
from mesh.clock import Clock


def blueprint(client: collection.Client, clock: Clock) -> Blueprint:
    """The routes of prescriptions."""
    prescriptions = collection.Collection(
        "prescription", NewPrescription, PrescriptionReplacement, Prescription, PrescriptionPage, client
    )
    return collection.blueprint(prescriptions, clock)
