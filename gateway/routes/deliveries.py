"""What became of a prescription's mail: under /prescriptions and /patients/{patient_id}/prescriptions."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field
from quart import Blueprint, Response

from gateway.examples import DELIVERIES
from gateway.fields import Count, Id, LetterKind, LetterState, Moment, OptionalMoment
from gateway.http.operations import Asked, Operation, add
from gateway.http.parameters import PAGE_QUERY
from gateway.routes.collection import paged
from gateway.schemas import Answer, Cursor
from gateway.upstreams import PrescriptionsClient
from mesh.clock import Clock

OF_A_PATIENT = "read_patient_prescription_deliveries"

STATES = (
    "waiting: it is due, or will be tried again; sending: in hand now; sent: the relay has taken it; "
    "failed: the relay refused it, or it was given up; uncertain: the relay may have it; "
    "withdrawn: overtaken before it left."
)


class Delivery(Answer):
    """One letter about one version of a prescription to one recipient, and what became of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [DELIVERIES["deliveries"][1]]})

    delivery_id: Id
    prescription_id: Id
    version: Annotated[Id, Field(description="The version whose writing made the letter.")]
    kind: Annotated[
        LetterKind, Field(description="A revision replaces a letter that has left; a cancellation voids it.")
    ]
    state: Annotated[LetterState, Field(description=STATES)]
    attempts: Annotated[Count, Field(description="How often it was taken in hand.")]
    next_attempt_at: Annotated[OptionalMoment, Field(description="Empty when no attempt is due.")]
    message_id: Annotated[str, Field(description="The letter's `Message-ID`, the same in every attempt.")]
    last_error: Annotated[
        str, Field(description="Where the last attempt ended, and with which code; empty: it went well.")
    ]
    replaces: Annotated[str, Field(description="The `Message-ID` of the letter that it revises or cancels.")]
    created_at: Moment
    updated_at: Moment


class Deliveries(Answer):
    """Some of a prescription's letters, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [DELIVERIES]})

    prescription_id: Id
    deliveries: tuple[Delivery, ...]
    next_cursor: Cursor


def add_deliveries(made: Blueprint, client: PrescriptionsClient, clock: Clock) -> None:
    """Puts the routes into the blueprint of prescriptions."""

    async def deliveries(asked: Asked) -> Response:
        number = asked.ids["prescription_id"]
        page = await client.deliveries(asked, number, asked.ids.get("patient_id", 0))
        return paged(asked, {"prescription_id": number, "deliveries": page.items, "next_cursor": page.next_cursor})

    both = {"patient_id": "patient_id", "prescription_id": "prescription_id"}
    short, long = "/prescriptions/<id>", "/patients/<patient_id>/prescriptions/<prescription_id>"
    for rule, operation in (
        (short, _operation("read_prescription_deliveries", {"id": "prescription_id"})),
        (long, _operation(OF_A_PATIENT, both)),
    ):
        add(made, clock, "GET", f"{rule}/deliveries", operation, deliveries)


def _operation(name: str, ids: Mapping[str, str]) -> Operation:
    return Operation(
        name=name,
        tag="Prescriptions",
        summary="What became of a prescription's mail, newest first",
        description=(
            "The letters that its versions made: while it is `active` and has a `mail_to`, and when one that has left "
            "does not hold any more. A prescription that is not mailed has an empty list. Those of a deleted one stay."
        ),
        ids=ids,
        query=PAGE_QUERY,
        answer=Deliveries,
    )
