"""/records and /patients/{patient_id}/records."""

from quart import Blueprint

from gateway.routes import collection
from gateway.schemas import NewRecord, Record, RecordPage, RecordReplacement
from mesh.clock import Clock


def blueprint(client: collection.Client, clock: Clock) -> Blueprint:
    """The routes of patient records."""
    records = collection.Collection("record", NewRecord, RecordReplacement, Record, RecordPage, client)
    return collection.blueprint(records, clock)
