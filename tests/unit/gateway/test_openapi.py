"""The document is OpenAPI 3.1, complete, and true: its examples pass its schemas, its schemas are the messages'."""

import json
from typing import Any

import jsonschema_rs
import pytest
from pydantic import BaseModel
from schemathesis.specs.openapi.definitions import OPENAPI_31

from gateway import schemas
from gateway.http.openapi import document
from gateway.routes.deliveries import Delivery
from mesh.version import __version__
from protos.generated.caremesh import v1 as pb
from tests.fakes.gateway import Gateway
from tests.unit.gateway.test_policies import APP

API = json.loads(json.dumps(document(APP)))
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def nodes(node: Any) -> list[dict[str, Any]]:
    """Every object of the document."""
    if isinstance(node, list):
        return [found for item in node for found in nodes(item)]
    if not isinstance(node, dict):
        return []
    return [node, *(found for item in node.values() for found in nodes(item))]


def validator(schema: dict[str, Any]) -> Any:
    """A schema of the document, with the document's components in reach."""
    return jsonschema_rs.validator_for(
        {"$schema": DIALECT, **schema, "components": API["components"]}, validate_formats=True
    )


def test_the_document_is_valid_openapi_3_1() -> None:
    """By the specification's own schema."""
    errors = [str(error)[:300] for error in jsonschema_rs.validator_for(OPENAPI_31).iter_errors(API)]
    assert errors == []


def test_every_reference_leads_somewhere() -> None:
    """A dangling one breaks generated clients."""
    for node in nodes(API):
        if "$ref" in node:
            found: Any = API
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]


def test_every_component_schema_is_a_valid_schema() -> None:
    """JSON Schema 2020-12, which OpenAPI 3.1 takes as it is."""
    for schema in API["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": DIALECT, **schema})


def test_no_two_templates_have_one_shape() -> None:
    """OpenAPI forbids it: which of them would be meant?"""
    shapes = ["/".join("{}" if part.startswith("{") else part for part in path.split("/")) for path in API["paths"]]
    assert len(shapes) == len(set(shapes))


def test_operation_ids_are_unique_and_links_name_them() -> None:
    """Generated clients name their functions by them."""
    names = [operation["operationId"] for path in API["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    linked = {node["operationId"] for node in nodes(API) if "operationId" in node and "responses" not in node}
    assert linked
    assert linked <= set(names)


def media() -> list[tuple[str, dict[str, Any]]]:
    """Every media type object with examples."""
    return [(node["schema"]["$ref"], node) for node in nodes(API) if "examples" in node and "schema" in node]


def test_every_example_passes_its_schema() -> None:
    """They are what people paste."""
    assert len(media()) > 50
    for _, node in media():
        for example in node["examples"].values():
            assert validator(node["schema"]).validate(example["value"]) is None


@pytest.mark.parametrize("name", ["NewRecord", "NewPrescription", "RecordReplacement", "PrescriptionReplacement"])
def test_every_field_of_a_body_says_what_it_takes(name: str) -> None:
    """Strict on paper as in code: no other field."""
    schema = API["components"]["schemas"][name]
    assert schema["additionalProperties"] is False
    ignored = {"version", "created_at", "updated_at", "updated_by"}
    for field, told in schema["properties"].items():
        assert field in ignored or {"type", "enum", "anyOf", "$ref"} & told.keys(), field


MESSAGES: list[tuple[type[BaseModel], Any]] = [
    (schemas.Record, pb.PatientRecord),
    (schemas.Prescription, pb.Prescription),
    (schemas.StoredMedication, pb.Medication),
    (schemas.Medication, pb.Medication),
    (Delivery, pb.Delivery),
    (schemas.RecordReplacement, pb.PatientRecord),
    (schemas.PrescriptionReplacement, pb.Prescription),
]


@pytest.mark.parametrize(("schema", "message"), MESSAGES)
def test_a_schema_has_the_fields_of_its_message(schema: type[BaseModel], message: Any) -> None:
    """Answers are messages written as they are, so a new field must be documented before it is sent."""
    assert set(schema.model_fields) == set(message.__dataclass_fields__)


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/patients/7/records/12", schemas.Record),
        ("/records/7", schemas.RecordPage),
        ("/health", None),
        ("/livez", None),
        ("/readyz", None),
    ],
)
async def test_an_answer_has_every_documented_field_always(path: str, schema: type[BaseModel] | None) -> None:
    """Empty texts are there as empty texts: a client's types are fixed."""
    gateway = Gateway()
    gateway.records.outcome = lambda _, message: (
        pb.RecordPage(items=[full()]) if "limit" in vars(message) and message.limit else full()
    )
    answer = await gateway.request("GET", path)
    assert answer.status == 200
    name = schema.__name__ if schema else {"/health": "Health", "/livez": "Alive", "/readyz": "Ready"}[path]
    assert validator({"$ref": f"#/components/schemas/{name}"}).validate(answer.json) is None


def full() -> pb.PatientRecord:
    stamp = "2026-03-17T08:42:10.250113Z"
    times: dict[str, Any] = {"created_at": stamp, "updated_at": stamp}
    ids: dict[str, Any] = {"record_id": 12, "patient_id": 7, "doctor_id": 3, "version": 1}
    return pb.PatientRecord(**ids, record_text="x", date="2026-03-17", category="note", updated_by="local", **times)


async def test_it_is_served_with_the_one_version() -> None:
    """OpenAPI, /health and the command show the same."""
    served = (await Gateway().request("GET", "/openapi.json")).json
    assert served == API
    assert served["info"]["version"] == __version__ == (await Gateway().request("GET", "/health")).json["version"]
