"""Histories, and lists of one category."""

from typing import Any, get_args

import pytest

from gateway.examples import NEW_RECORD, RECORD
from gateway.fields import Category
from mesh.errors import RemoteError
from mesh.status import Status
from protos.generated.caremesh import v1 as pb
from tests.fakes.gateway import Gateway

NOUNS = ["record", "prescription"]


@pytest.mark.parametrize("noun", NOUNS)
async def test_a_history_is_asked_for_by_both_ids_and_shown_as_the_service_tells_it(noun: str) -> None:
    """Newest first, each version whole, a deletion among them."""
    gateway = Gateway()
    item: Any = pb.PatientRecord if noun == "record" else pb.Prescription
    page: Any = pb.RecordPage if noun == "record" else pb.PrescriptionPage
    versions = [item(version=2, deleted=True), item(version=1)]
    gateway.records.outcome = gateway.prescriptions.outcome = lambda *_: page(items=versions, next_cursor="next")
    answer = await gateway.request("GET", f"/patients/7/{noun}s/12/history?limit=2&cursor=abc")
    (asked,) = gateway.asked
    assert asked.method == {"record": "GetPatientRecordHistory", "prescription": "GetPrescriptionHistory"}[noun]
    message = asked.message
    assert (message.patient_id, getattr(message, f"{noun}_id"), message.limit, message.cursor) == (7, 12, 2, "abc")
    told = answer.json
    assert (answer.status, list(told)) == (200, [f"{noun}_id", "patient_id", "versions", "next_cursor"])
    assert (told[f"{noun}_id"], told["patient_id"], told["next_cursor"]) == (12, 7, "next")
    assert [(one["version"], one["deleted"]) for one in told["versions"]] == [(2, True), (1, False)]


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize(
    ("query", "wrong"), [("limit=0", "limit"), ("cursor=*", "cursor"), ("category=note", "category")]
)
async def test_a_history_takes_limit_and_cursor_and_nothing_else(noun: str, query: str, wrong: str) -> None:
    """A thing's versions may be of several categories, and belong together."""
    gateway = Gateway()
    answer = await gateway.request("GET", f"/patients/7/{noun}s/12/history?{query}")
    assert (answer.status, answer.fields, gateway.asked) == (400, [wrong], [])


@pytest.mark.parametrize("noun", NOUNS)
async def test_by_default_a_history_has_fifty_versions_a_page(noun: str) -> None:
    """As lists have."""
    gateway = Gateway()
    await gateway.request("GET", f"/patients/7/{noun}s/12/history")
    assert (gateway.asked[0].message.limit, gateway.asked[0].message.cursor) == (50, "")


@pytest.mark.parametrize("noun", NOUNS)
async def test_a_history_that_never_was_is_404(noun: str) -> None:
    """Or another patient's."""
    gateway = Gateway()
    gateway.records.fails(RemoteError(Status.NOT_FOUND, ""))
    gateway.prescriptions.fails(RemoteError(Status.NOT_FOUND, ""))
    assert (await gateway.request("GET", f"/patients/7/{noun}s/12/history")).status == 404


@pytest.mark.parametrize("path", ["/records/7", "/patients/7/records"])
@pytest.mark.parametrize("category", ["", *get_args(Category)])
async def test_a_list_may_be_of_one_category(path: str, category: str) -> None:
    """The service filters; without one it is of all."""
    gateway = Gateway()
    answer = await gateway.request("GET", f"{path}?limit=3" + (f"&category={category}" if category else ""))
    assert answer.status == 200
    assert (gateway.asked[0].message.category, gateway.asked[0].message.limit) == (category, 3)


@pytest.mark.parametrize("path", ["/records/7", "/patients/7/records"])
@pytest.mark.parametrize("category", ["", "Note", "notes", "note%20", "note,diagnosis", "%00", "diagnosis|note", "."])
async def test_an_unknown_category_is_400(path: str, category: str) -> None:
    """An empty one too: whoever sends it forgot to fill it in."""
    gateway = Gateway()
    answer = await gateway.request("GET", f"{path}?category={category}")
    assert (answer.status, answer.fields, gateway.asked) == (400, ["category"], [])
    assert "medical-history" in answer.json["errors"][0]["message"]


async def test_prescriptions_have_no_categories() -> None:
    """The parameter is unknown there."""
    assert (await Gateway().request("GET", "/prescriptions/7?category=note")).fields == ["category"]


async def test_what_was_read_may_be_sent_back_and_a_deletion_is_not_made_by_a_put() -> None:
    """`deleted` false is what every read says; true would look as if it hid the record."""
    gateway = Gateway()
    assert (await gateway.post("/records/12", RECORD, "PUT")).status == 200
    assert (gateway.asked[0].message.version, gateway.asked[0].message.deleted) == (0, False)
    for verb, path, body in (("PUT", "/records/12", RECORD), ("POST", "/records", NEW_RECORD)):
        answer = await gateway.post(path, {**body, "deleted": True}, verb)
        assert (answer.status, answer.fields) == (400, ["deleted"])
