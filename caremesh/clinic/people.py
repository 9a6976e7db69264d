"""Makes the clinic: each patient from a random stream of its own, so that more patients leave the others alone."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from caremesh.clinic import words
from caremesh.rows import Collection, Row

MOST_PATIENTS, MOST_SEEDS = 999, 2000
# The clinic's last day: fixed, or the same seed would make another clinic tomorrow.
TODAY = dt.date(2025, 6, 30)
_APART = 1_000_000  # patient numbers between two seeds; Synthea's patients (from 1000 on) fall in the first gap


@dataclass(frozen=True)
class Person:
    """One patient."""

    number: int
    name: str
    born: dt.date
    address: str
    doctor: int


def clinic(seed: int, patients: int) -> list[Row]:
    """The rows of a clinic: seed 1…2000, patients 1…999; no two seeds share a patient number."""
    return [row for index in range(1, patients + 1) for row in _patient(seed, index)]


def _patient(seed: int, index: int) -> Iterator[Row]:
    rng = Random(f"caremesh clinic {seed} {index}")  # noqa: S311  # invented people, no secret
    person = _person(rng, (seed - 1) * _APART + index)
    made = [_begin(rng), *(part for problem in _problems(rng) for part in _episode(rng, person, problem))]
    for number, (collection, body) in enumerate(made, start=1):
        source = f"demo-{seed}-{index}-{number}"
        common = {"patient_id": person.number, "doctor_id": person.doctor, "source_id": source}
        yield Row(collection, common | body, collection, source)


def _person(rng: Random, number: int) -> Person:
    born = TODAY - dt.timedelta(days=rng.randint(20 * 365, 85 * 365))
    address = f"{rng.randint(1, 99)} {rng.choice(words.STREETS)}, {rng.choice(words.TOWNS)}"
    return Person(number, rng.choice(words.NAMES), born, address, rng.randint(1, len(words.DOCTORS)))


def _problems(rng: Random) -> list[words.Problem]:
    return rng.sample(words.PROBLEMS, rng.randint(1, 3))


def _begin(rng: Random) -> tuple[Collection, dict[str, Any]]:
    """What was written down at the first visit."""
    return _record(rng.choice(words.HISTORIES), _before(rng, 5 * 365, 4 * 365), "medical-history")


def _episode(rng: Random, person: Person, problem: words.Problem) -> Iterator[tuple[Collection, dict[str, Any]]]:
    """One condition: diagnosis and plan of one day, the drugs with it, a note later."""
    began = _before(rng, 3 * 365, 60)
    yield _record(problem.diagnosis, began, "diagnosis")
    yield _record(problem.plan, began, "treatment-plan")
    for drug in problem.drugs:
        yield "prescriptions", _prescription(person, problem, drug, began)
    yield _record(rng.choice(words.NOTES), min(TODAY, began + dt.timedelta(days=rng.randint(7, 60))), "note")


def _before(rng: Random, most: int, least: int) -> dt.date:
    return TODAY - dt.timedelta(days=rng.randint(least, most))


def _record(text: str, day: dt.date, category: str) -> tuple[Collection, dict[str, Any]]:
    return "records", {"record_text": text, "date": day.isoformat(), "category": category}


def _prescription(person: Person, problem: words.Problem, drug: words.Drug, day: dt.date) -> dict[str, Any]:
    medication = {
        "medication_name": drug.name,
        "dosage": drug.dosage,
        "sig": drug.sig,
        "quantity": str(drug.per_day * drug.days),
        "days_supply": drug.days,
        "refills": drug.refills,
        "reason": problem.reason,
        "strength": drug.strength,
        "form": drug.form,
    }
    return {
        "medications": [medication],
        "status": "active" if problem.lasting else "completed",
        "written_on": day.isoformat(),
        "patient_name": person.name,
        "patient_birth_date": person.born.isoformat(),
        "patient_address": person.address,
        "prescriber_name": words.DOCTORS[person.doctor - 1],
        "prescriber_address": words.PRACTICE,
    }
