"""Independent clients, made by others from the same .proto files, call everything there is.

What they share with us is only the wire: a mistake that both of our sides make alike shows here.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.absence import cannot_run
from tests.fakes.protos import PROTOS, methods, protoc
from tests.stack import Stack

HERE = Path(__file__).parent
TEXT = "přelom ٣ 骨折 🩻"
RECORDS, PRESCRIPTIONS = "/caremesh.v1.PatientRecordsService", "/caremesh.v1.PrescriptionManagementService"
REGISTRY, HEALTH = "/mesh.registry.v1.ServiceRegistry", "/grpc.health.v1.Health"

pytestmark = pytest.mark.xdist_group("stack")


@pytest.fixture(scope="module")
def addresses(stack: Stack) -> str:
    """Where each service is, as JSON."""
    (records,), (prescriptions,) = stack.endpoints("records"), stack.endpoints("prescriptions")
    found = {RECORDS: records, PRESCRIPTIONS: prescriptions, REGISTRY: stack.registry}
    return json.dumps({service.strip("/"): address for service, address in found.items()})


@pytest.fixture(scope="module")
def grpcio(addresses: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What Google's client for Python was told, with stubs that its own compiler made."""
    stubs = tmp_path_factory.mktemp("stubs")
    protoc(f"--python_out={stubs}", f"--grpc_python_out={stubs}")
    return told([sys.executable, str(HERE / "grpcio_client.py"), str(stubs), addresses])


@pytest.fixture(scope="module")
def grpc_js(addresses: str) -> Any:
    """What Google's client for JavaScript was told; it reads the .proto files by itself."""
    modules, node = os.environ.get("CAREMESH_TEST_GRPC_JS", ""), shutil.which("node")
    if not modules or not node:
        cannot_run(
            "the grpc-js client",
            "install node, then: npm install --prefix DIR @grpc/grpc-js @grpc/proto-loader; "
            "export CAREMESH_TEST_GRPC_JS=DIR/node_modules",
        )
    return told([node, str(HERE / "grpc_js_client.js"), modules, str(PROTOS), addresses])


def told(command: list[str]) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=["grpcio", "grpc_js"])
def answers(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_every_method_of_every_proto_file_was_called(answers: Any) -> None:
    """A method that is added to a .proto file fails here until both clients call it."""
    assert sorted(path for path in answers if path.startswith("/")) == sorted(methods())


def test_texts_in_any_script_come_back_as_they_were_sent(answers: Any) -> None:
    assert answers[f"{RECORDS}/GetPatientRecord"]["record_text"] == TEXT
    assert answers[f"{RECORDS}/PutPatientRecords"]["record_text"] == f"{TEXT}!"
    assert answers[f"{PRESCRIPTIONS}/PutPatientPrescription"]["patient_name"] == TEXT
    assert answers[f"{REGISTRY}/Watch"][1]["endpoints"][0]["metadata"] == TEXT


def test_no_refills_is_a_value_and_an_absent_supply_is_none(answers: Any) -> None:
    (medication,) = answers[f"{PRESCRIPTIONS}/GetPrescription"]["medications"]
    assert medication["refills"] == 0
    assert "days_supply" not in medication


def test_pages_hold_what_was_written(answers: Any) -> None:
    (record,) = answers[f"{RECORDS}/GetPatientRecords"]["items"]
    (prescription,) = answers[f"{PRESCRIPTIONS}/GetPatientPrescriptions"]["items"]
    assert (record["version"], prescription["version"]) == (2, 2)
    assert record["record_text"] == f"{TEXT}!"


def test_what_is_asked_for_together_is_answered_each_for_itself(answers: Any) -> None:
    """A page and a request that names nobody: the one's refusal is not the other's."""
    for service, single in ((RECORDS, "GetPatientRecords"), (PRESCRIPTIONS, "GetPatientPrescriptions")):
        page, refused = answers[f"{service}/Batch{single}"]
        assert page["reply"] == answers[f"{service}/{single}"]
        assert refused["status"]
        assert "reply" not in refused


def test_refusals_are_the_statuses_of_the_contract(answers: Any) -> None:
    assert answers["deleted record"] == "NOT_FOUND"
    assert answers["bad record"] == "INVALID_ARGUMENT"
    assert answers["unknown lease"] == "NOT_FOUND"


def test_every_server_answers_the_standard_health_protocol(answers: Any) -> None:
    """For each server: the whole of it by "", and its service by name; a service it has not is NOT_FOUND."""
    for method in ("Check", "Watch"):
        found = answers[f"{HEALTH}/{method}"]
        assert len(found) == 6
        assert {answer["status"] for answer in found.values()} == {"SERVING"}
    assert {answers[f"{service.strip('/')} missing"] for service in (RECORDS, PRESCRIPTIONS, REGISTRY)} == {"NOT_FOUND"}
    assert answers[f"{RECORDS}/CheckHealth"] == answers[f"{PRESCRIPTIONS}/CheckHealth"] == {"is_healthy": True}
