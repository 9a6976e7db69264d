"""A service that is away altogether, and readers who go on reading what they read before."""

import signal
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

from tests.fakes.waiting import wait_until
from tests.stack import Stack

POLICY = str(Path(__file__).parents[2] / "policy.toml")
PATIENTS = range(1, 11)
MARK = '; detail="stale: '


def read(url: str) -> tuple[int, str]:
    """The status and what it says of caches."""
    try:
        with urllib.request.urlopen(url, timeout=15) as answer:
            return int(answer.status), str(answer.headers["Cache-Status"])
    except HTTPError as error:
        with error:
            return int(error.code), str(error.headers["Cache-Status"])


def test_what_was_read_is_answered_stale_while_nobody_serves_it(tmp_path: Path) -> None:
    """Every read, and marked. What was never read is 503, the other service is as ever; all is fresh again after."""
    record = {"doctor_id": 3, "record_text": "Well.", "date": "2026-03-17"}
    settings = {"CAREMESH_POLICY": POLICY, "CAREMESH_LOG_LEVEL": "warning"}
    with Stack(tmp_path, replicas=2, settings=settings) as stack:
        pages = [f"{stack.url}/patients/{patient}/records" for patient in PATIENTS]
        for patient, page in zip(PATIENTS, pages, strict=True):
            assert stack.ask("POST", "/records", {**record, "patient_id": patient})[0] == 201
            assert read(page)[0] == 200
        replicas = [stack.processes[f"records.{number}"] for number in (1, 2)]
        for replica in replicas:
            replica.send(signal.SIGKILL)
        wait_until(lambda: all(MARK in read(page)[1] for page in pages))
        answers = [read(page) for _ in range(10) for page in pages]
        assert {(status, MARK in told) for status, told in answers} == {(200, True)}
        assert read(f"{stack.url}/patients/99/records")[0] == 503
        assert read(f"{stack.url}/patients/1/prescriptions")[0] == 200
        for replica in replicas:
            replica.start()
        wait_until(lambda: read(pages[0]) == (200, "caremesh; fwd=stale; stored"), 60)
