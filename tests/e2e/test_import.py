"""An import of many rows while everything is killed around it: afterwards each row is there, once, as it was sent."""

import os
import random
import re
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from caremesh.clinic.people import clinic
from caremesh.rows import Collection, Row
from caremesh.synthea.mapping import read
from tests.fakes.absence import cannot_run
from tests.fakes.waiting import wait_until
from tests.upped import COMMAND, HOUSE, Up, get, healthy

PATIENTS = 300
DATES: dict[Collection, str] = {"records": "date", "prescriptions": "written_on"}
IDS: dict[Collection, str] = {"records": "record_id", "prescriptions": "prescription_id"}


def importing(up: Up, *arguments: str) -> "subprocess.Popen[str]":
    """Starts an importing command."""
    line = [*COMMAND, *arguments, "--config", str(up.config)]
    return subprocess.Popen(line, cwd=HOUSE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def pages(gateway: str, collection: Collection, patient: int) -> Iterator[dict[str, Any]]:
    """All of a patient's rows, page by page, each page followed by its cursor."""
    cursor = ""
    while True:
        page = get(f"{gateway}/{collection}/{patient}?limit=50" + (f"&cursor={cursor}" if cursor else ""))
        yield from page[collection]
        cursor = page["next_cursor"]
        if not cursor:
            return


def agrees(sent: Any, stored: Any) -> bool:
    """Whether what is stored is what was sent; fields that were not sent are the service's own."""
    if isinstance(sent, dict):
        return all(agrees(value, stored[name]) for name, value in sent.items())
    if isinstance(sent, list):
        return len(sent) == len(stored) and all(map(agrees, sent, stored))
    return bool(sent == stored)


def check(gateway: str, rows: Sequence[Row], patients: Sequence[int]) -> None:
    """Each of these patients has exactly the rows that were sent, newest first."""
    expected: defaultdict[tuple[str, int], dict[str, Any]] = defaultdict(dict)
    for row in rows:
        expected[row.collection, row.body["patient_id"]][row.body["source_id"]] = row.body
    for patient in patients:
        for collection in IDS:
            stored = list(pages(gateway, collection, patient))
            sent = expected[collection, patient]
            assert Counter(one["source_id"] for one in stored) == Counter(dict.fromkeys(sent, 1))
            assert all(agrees(sent[one["source_id"]], one) for one in stored)
            order = [(one[DATES[collection]], one[IDS[collection]]) for one in stored]
            assert order == sorted(order, reverse=True)


def everybody(rows: Sequence[Row]) -> list[int]:
    return sorted({row.body["patient_id"] for row in rows})


def begun(up: Up, process: "subprocess.Popen[str]") -> None:
    """Waits until the gateway has answered some of its writes."""
    before = up.written
    wait_until(lambda: up.written > before + 100, 60)
    assert process.poll() is None


@pytest.mark.timeout(300)
def test_an_interrupted_import_tells_how_to_go_on_and_the_next_one_makes_it_exact(tmp_path: Path) -> None:
    """Ctrl-C in the middle costs nothing and doubles nothing."""
    command, rows = ("demo", "--patients", str(PATIENTS)), clinic(1, PATIENTS)
    with Up(tmp_path) as up:
        up.ready()
        with importing(up, *command) as process:
            begun(up, process)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        assert process.returncode == 130, out + err
        assert "run the same command again to go on" in err
        again = up.run(*command)
        assert again.returncode == 0, again.stderr
        check(up.gateway, rows, everybody(rows))


@pytest.mark.timeout(600)
def test_whatever_is_killed_during_an_import_each_row_is_there_once(tmp_path: Path) -> None:
    """A kill -9 of each process in turn, the supervisor last; the import goes on, and after that is run again."""
    folder = os.environ.get("CAREMESH_TEST_SYNTHEA")
    command = ("import-synthea", folder) if folder else ("demo", "--patients", str(PATIENTS))
    rows = read(Path(folder)) if folder else clinic(1, PATIENTS)
    with Up(tmp_path) as first:
        first.ready()
        wait_until(lambda: healthy(first), 30)
        with importing(first, *command) as process:
            for one in first.state.processes:
                begun(first, process)
                killed = first.kill(one.name)
                wait_until(lambda name=one.name, was=killed: first.pid(name) not in (0, was), 30)  # type: ignore[misc]
            first.process.kill()
            time.sleep(0.5)  # so that the import meets a gateway that is gone
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        assert process.returncode == 130, out + err
        assert "refused 0" in out
    with Up(tmp_path) as second:
        second.ready()
        again = second.run(*command)
        assert again.returncode == 0, again.stdout + again.stderr
        third = second.run(*command)
        told = counts(third.stdout)
        assert (told["added"], there(told)) == (0, len(rows))
        check(second.gateway, rows, everybody(rows))


@pytest.mark.timeout(300)
def test_the_real_folder_is_imported_whole_and_again_adds_nothing(tmp_path: Path) -> None:
    """4,815 records and 6,124 prescriptions; every page of twenty patients equals the files."""
    folder = os.environ.get("CAREMESH_TEST_SYNTHEA") or cannot_run(
        "the real Synthea folder", "name it in CAREMESH_TEST_SYNTHEA"
    )
    rows = read(Path(folder))
    with Up(tmp_path) as up:
        up.ready()
        first, second = up.run("import-synthea", folder), up.run("import-synthea", folder)
        told = counts(first.stdout)
        assert (told["added"] + there(told), told["already there"], told["refused"]) == (10_939, 0, 0), first.stderr
        again = counts(second.stdout)
        assert (again["added"], there(again), again["refused"]) == (0, 10_939, 0)
        check(up.gateway, rows, random.Random(20).sample(everybody(rows), 20))


def counts(printed: str) -> Counter[str]:
    """The closing line of an import: how many rows ended how."""
    (closing,) = [line for line in printed.splitlines() if " rows a second" in line]
    pairs = re.findall(r"(added|already there|there after an unanswered attempt|refused) ([\d,]+)", closing)
    return Counter({name: int(number.replace(",", "")) for name, number in pairs})


def there(told: Counter[str]) -> int:
    """Rows that were there before they were sent. On a busy machine an attempt may stay without an answer."""
    return told["already there"] + told["there after an unanswered attempt"]
