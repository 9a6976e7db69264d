"""From Synthea's tables to the clinic's records and prescriptions, one a row."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caremesh.rows import Collection, Row, choice, digest
from caremesh.synthea.table import FolderError, Line, day, lines

FIRST_PATIENT = 1000
KEY = ("START", "PATIENT", "ENCOUNTER", "CODE")
# The columns of KEY do not make a row of these files distinct: its number among its equals does.
_EVENT = (*KEY, "DESCRIPTION")


@dataclass(frozen=True)
class Numbers:
    """Synthea's names are UUIDs, the clinic's are numbers: patients.csv from 1000 on, providers.csv from 1 on."""

    patients: dict[str, int]
    providers: int

    def doctor(self, encounter: str) -> int:
        """The folder does not say who a row's doctor was: one of the providers, always the same for an encounter."""
        return choice(encounter, self.providers)


def read(folder: Path) -> list[Row]:
    """All rows of the folder, which must be sound before anything is written.

    Raises:
        FolderError: naming what is wrong by file, line and column.
    """
    if not any((folder / f"{name}.csv").exists() for name in _COLUMNS):
        raise FolderError([f"{folder}: holds no patients.csv and the like; name the folder of Synthea's CSV files"])
    problems: list[str] = []
    tables = {name: _lines(folder, f"{name}.csv", columns, problems) for name, columns in _COLUMNS.items()}
    if not tables["providers"] and not problems:
        problems.append("providers.csv line 2: there is no provider; export the file again")
    if problems:
        raise FolderError(problems)
    numbers = numbering(tables["patients"], tables["providers"])
    rows = [row for name, file in _FILES.items() for row in _rows(file, name, tables[name], numbers, problems)]
    if problems:
        raise FolderError(problems)
    return rows


def numbering(patients: list[Line], providers: list[Line]) -> Numbers:
    """The clinic's numbers for the lines of patients.csv and providers.csv."""
    return Numbers({line["Id"]: number for number, line in enumerate(patients, FIRST_PATIENT)}, len(providers))


def _lines(folder: Path, name: str, columns: tuple[str, ...], problems: list[str]) -> list[Line]:
    try:
        return lines(folder, name, columns)
    except FolderError as error:
        problems += error.problems
        return []


def _rows(file: "_File", name: str, table: list[Line], numbers: Numbers, problems: list[str]) -> Iterator[Row]:
    seen: Counter[tuple[str, ...]] = Counter()
    for line in table:
        key = tuple(line[column] for column in KEY)
        seen[key] += 1
        if found := _faults(line, numbers):
            problems += found
            continue
        common = {
            "patient_id": numbers.patients[line["PATIENT"]],
            "doctor_id": numbers.doctor(line["ENCOUNTER"]),
            "source_id": f"synthea-{name}-{digest(*key)}-{seen[key]}",
        }
        yield Row(file.collection, common | file.body(line), name, line.where)


def _faults(line: Line, numbers: Numbers) -> list[str]:
    found = []
    if day(line["START"]) is None:
        found.append(f"{line.where}, column START: is no date; write it as 2019-07-08 or 2019-07-08T23:38:03Z")
    if line["PATIENT"] not in numbers.patients:
        found.append(f"{line.where}, column PATIENT: is not in patients.csv; export both files from one run of Synthea")
    return found


def _record(category: str) -> Callable[[Line], dict[str, Any]]:
    return lambda line: {"record_text": line["DESCRIPTION"], "date": day(line["START"]), "category": category}


def _prescription(line: Line) -> dict[str, Any]:
    medication = {
        "medication_name": line["DESCRIPTION"],
        "rxnorm_code": line["CODE"],
        "reason": line["REASONDESCRIPTION"],
    }
    return {
        "medications": [medication],
        "written_on": day(line["START"]),
        "status": "completed" if line["STOP"] else "active",
    }


@dataclass(frozen=True)
class _File:
    collection: Collection
    body: Callable[[Line], dict[str, Any]]


_FILES = {
    "conditions": _File("records", _record("diagnosis")),
    "careplans": _File("records", _record("treatment-plan")),
    "medications": _File("prescriptions", _prescription),
}
_COLUMNS = {
    "patients": ("Id",),
    "providers": ("Id",),
    "conditions": _EVENT,
    "careplans": _EVENT,
    "medications": (*_EVENT, "STOP", "REASONDESCRIPTION"),
}
