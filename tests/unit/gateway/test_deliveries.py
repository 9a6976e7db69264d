"""What became of a prescription's mail, as the gateway shows it."""

import pytest

from gateway.examples import DELIVERIES
from mesh.errors import RemoteError
from mesh.status import Status
from protos.generated.caremesh import v1 as pb
from tests.fakes.gateway import Gateway

PATHS = {"/prescriptions/41/deliveries": 0, "/patients/7/prescriptions/41/deliveries": 7}


@pytest.mark.parametrize(("path", "patient_id"), PATHS.items())
async def test_deliveries_are_asked_for_by_the_paths_ids_and_shown_as_the_service_tells_them(
    path: str, patient_id: int
) -> None:
    """Every field, in pages as histories have them; without a patient in the path they are any patient's."""
    gateway = Gateway()
    items = [pb.Delivery(**one) for one in DELIVERIES["deliveries"]]
    gateway.prescriptions.outcome = lambda *_: pb.DeliveryPage(items=items, next_cursor="next")
    answer = await gateway.request("GET", f"{path}?limit=2&cursor=abc")
    (asked,) = gateway.asked
    message = asked.message
    assert asked.method == "GetDeliveries"
    assert (message.prescription_id, message.patient_id, message.limit, message.cursor) == (41, patient_id, 2, "abc")
    assert (answer.status, answer.json) == (200, {**DELIVERIES, "next_cursor": "next"})


@pytest.mark.parametrize("path", PATHS)
async def test_by_default_there_are_fifty_a_page_and_one_who_has_them_gets_none_again(path: str) -> None:
    """Whoever waits for a letter to leave asks often."""
    gateway = Gateway()
    first = await gateway.request("GET", path)
    again = await gateway.request("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body, again.headers["cache-control"]) == (304, b"", "private, no-cache")
    assert {(asked.message.limit, asked.message.cursor) for asked in gateway.asked} == {(50, "")}
    gateway.prescriptions.outcome = lambda *_: pb.DeliveryPage(items=[pb.Delivery(state="sent")])
    changed = await gateway.request("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (changed.status, changed.json["deliveries"][0]["state"]) == (200, "sent")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("query", "wrong"), [("limit=0", "limit"), ("cursor=*", "cursor"), ("state=sent", "state")])
async def test_they_take_limit_and_cursor_and_nothing_else(path: str, query: str, wrong: str) -> None:
    """A filter that is not there is refused, not ignored."""
    gateway = Gateway()
    answer = await gateway.request("GET", f"{path}?{query}")
    assert (answer.status, answer.fields, gateway.asked) == (400, [wrong], [])


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/prescriptions/0/deliveries", "prescription_id"),
        ("/patients/7/prescriptions/x/deliveries", "prescription_id"),
        ("/patients/-1/prescriptions/41/deliveries", "patient_id"),
    ],
)
async def test_a_bad_id_is_named(path: str, wrong: str) -> None:
    """By what it is an id of, though one path calls it `id`."""
    answer = await Gateway().request("GET", path)
    assert (answer.status, answer.fields) == (400, [wrong])


@pytest.mark.parametrize("path", PATHS)
async def test_those_of_a_prescription_that_never_was_are_404(path: str) -> None:
    """Or of another patient's."""
    gateway = Gateway()
    gateway.prescriptions.fails(RemoteError(Status.NOT_FOUND, ""))
    assert (await gateway.request("GET", path)).status == 404


async def test_an_answer_to_a_new_prescription_links_to_what_becomes_of_its_mail() -> None:
    """A client that follows links finds it without reading on."""
    document = (await Gateway().request("GET", "/openapi.json")).json
    link = document["paths"]["/prescriptions"]["post"]["responses"]["201"]["links"]["deliveries"]
    linked = document["paths"]["/patients/{patient_id}/prescriptions/{prescription_id}/deliveries"]["get"]
    assert link["operationId"] == linked["operationId"]
    assert link["parameters"].keys() == {"patient_id", "prescription_id"}
    assert "deliveries" not in document["paths"]["/records"]["post"]["responses"]["201"]["links"]
