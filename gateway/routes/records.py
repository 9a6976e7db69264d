"""/records and /patients/{patient_id}/records."""

from quart import Blueprint

from gateway.http.parameters import CATEGORY
from gateway.routes.collection import blueprint as routes_of
from gateway.routes.described import Client, Collection
from gateway.schemas import NewRecord, Record, RecordHistory, RecordPage, RecordReplacement
from mesh.clock import Clock


def blueprint(client: Client, clock: Clock, *, match_required: bool = False) -> Blueprint:
    """The routes of patient records."""
    records = Collection(
        noun="record",
        new=NewRecord,
        replacement=RecordReplacement,
        item=Record,
        page=RecordPage,
        history=RecordHistory,
        client=client,
        match_required=match_required,
        filters=(CATEGORY,),
    )
    return routes_of(records, clock)
