"""A clinic that `caremesh up` runs: what people and other commands do with it, and with its processes."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.absence import cannot_run
from tests.fakes.synthea import folder
from tests.fakes.waiting import wait_until
from tests.upped import Up, get, healthy, posted

pytestmark = pytest.mark.xdist_group("up")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One clinic for the tests that leave it running."""
    with Up(tmp_path_factory.mktemp("up"), gateways=2) as running:
        yield running.ready()


def test_the_three_printed_commands_work_when_pasted_in_their_order(up: Up) -> None:
    """They are the first thing that anybody does here."""
    if not shutil.which("curl"):
        cannot_run("the printed commands", "install curl")
    lines = [line.strip() for line in up.lines if line.startswith("  curl ")]
    answers = [subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True) for line in lines]
    record, prescription = (json.loads(answer.stdout) for answer in answers[:2])
    records, prescriptions = map(json.loads, answers[2].stdout.splitlines())
    assert record in records["records"]
    assert prescription in prescriptions["prescriptions"]


def test_a_pipe_gets_plain_lines_each_with_its_process_before_it(up: Up) -> None:
    """A log file full of control codes is read by nobody."""
    assert not any("\x1b" in line for line in up.lines)
    assert up.said(r"^records\.2 +│ ")


def test_a_second_start_says_who_runs_and_where(up: Up) -> None:
    """It must neither start nor only say that something is locked."""
    second = up.run("up")
    assert second.returncode == 1
    assert f"pid {up.process.pid}, gateway at {up.gateway}" in second.stderr
    assert second.stdout == ""


def test_the_doctor_finds_a_running_clinic_well(up: Up) -> None:
    """A doctor that cries over a healthy clinic is not asked again."""
    wait_until(lambda: healthy(up))
    told = up.run("doctor")
    assert told.returncode == 0, told.stdout
    assert "gateway.2 → prescriptions" in told.stdout
    assert "\x1b" not in told.stdout


def test_the_demo_adds_its_clinic_once(up: Up) -> None:
    """The same seed twice is one clinic; what was written can be read where the help says it is."""
    first, second = up.run("demo", "--patients", "3"), up.run("demo", "--patients", "3")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "added 0, already there " in second.stdout
    assert {record["category"] for record in get(f"{up.gateway}/records/2")["records"]} >= {"medical-history"}
    assert get(f"{up.gateway}/prescriptions/2")["prescriptions"][0]["patient_name"]


def test_a_synthea_folder_is_imported_whole_and_again_adds_nothing(up: Up, tmp_path: Path) -> None:
    """One record or prescription a row, the doubled key's two rows among them."""
    place = folder(tmp_path)
    first, second = up.run("import-synthea", str(place)), up.run("import-synthea", str(place))
    assert "added 5, already there 0, refused 0" in first.stdout
    assert "added 0, already there 5, refused 0" in second.stdout
    assert [one["record_text"] for one in get(f"{up.gateway}/records/1001")["records"]] == ["Cough"]
    assert len(get(f"{up.gateway}/prescriptions/1000")["prescriptions"]) == 2


def test_a_row_that_is_refused_is_told_by_place_without_its_text(up: Up, tmp_path: Path) -> None:
    """The exit code says that something is missing, the report where to mend it."""
    place = folder(tmp_path, conditions=["2020-01-02,,pa,e9,99,", "2020-01-02,,pa,e9,98,SECRET\x07"])
    told = up.run("import-synthea", str(place))
    assert told.returncode == 1
    assert "conditions.csv line 2" in told.stdout
    assert "conditions.csv line 3" in told.stdout
    assert "refused 2" in told.stdout
    assert "SECRET" not in told.stdout + told.stderr


@pytest.mark.parametrize(
    "name", ["records.1", "prescriptions.2", "mail-sink.1", "registry.1", "gateway.1", "gateway.2"]
)
def test_a_process_that_is_killed_comes_back_and_the_clinic_is_whole_again(up: Up, name: str) -> None:
    """A `kill -9` is what the clinic is built to be shown with."""
    wait_until(lambda: healthy(up))
    killed = up.kill(name)
    wait_until(lambda: up.pid(name) not in (0, killed), 30)
    wait_until(lambda: healthy(up), 30)
    assert posted(up.gateway, f"after {name}") == 201
    assert up.said(rf"{name} +│ ended by SIGKILL; starting it again in")


def test_a_request_can_be_explained_by_its_id(up: Up) -> None:
    """From any gateway, in words and for programs; what is not known is said with what is."""
    wait_until(lambda: healthy(up))
    gateways = [one for one in up.state.processes if one.kind == "gateway"]
    for gateway in gateways:
        request = urllib.request.Request(f"http://{gateway.address}/records/31", headers={"Request-Id": gateway.name})
        urllib.request.urlopen(request, timeout=10).close()
        told = up.run("explain", f"urn:caremesh:request:{gateway.name}")
        assert told.returncode == 0, told.stderr
        assert f"at {gateway.name}, GET /records/{{id}} → 200" in told.stdout
        assert "is chosen" in told.stdout
        assert "left over" in told.stdout
        (story,) = json.loads(up.run("explain", "--json", gateway.name).stdout)
        assert [event["event"] for event in story["events"]][-1] == "Answered"
    unknown = up.run("explain", "nobody")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert all(f"{gateway.name} remembers" in unknown.stderr for gateway in gateways)


def test_reads_are_answered_while_one_replica_is_down(up: Up) -> None:
    """The tour ends with it: kill a replica and read again."""
    wait_until(lambda: healthy(up))
    killed = up.kill("records.2")
    statuses = {urllib.request.urlopen(f"{up.gateway}/records/31", timeout=10).status for _ in range(30)}
    assert statuses == {200}
    wait_until(lambda: up.pid("records.2") not in (0, killed), 30)
