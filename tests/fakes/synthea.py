"""Makes small Synthea folders."""

from collections.abc import Sequence
from pathlib import Path

HEADERS = {
    "patients": "Id,BIRTHDATE,FIRST,LAST",
    "providers": "Id,ORGANIZATION,NAME",
    "conditions": "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION",
    "careplans": "Id,START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION,REASONCODE,REASONDESCRIPTION",
    "medications": "START,STOP,PATIENT,PAYER,ENCOUNTER,CODE,DESCRIPTION,BASE_COST,REASONCODE,REASONDESCRIPTION",
}
ROWS: dict[str, Sequence[str]] = {
    "patients": ["pa,2001-01-01,Ana,One", "pb,2002-02-02,Bo,Two"],
    "providers": ["da,o,Dr. A", "db,o,Dr. B", "dc,o,Dr. C"],
    "conditions": ["2020-01-02,,pa,e1,11,Asthma (disorder)", "2021-03-04,2021-04-04,pb,e2,12,Cough"],
    "careplans": ["c1,2020-01-02,,pa,e1,21,Asthma self management,11,Asthma"],
    "medications": [
        "2020-01-02T23:38:03Z,,pa,x,e1,31,Salbutamol,1.00,11,Asthma",
        "2020-01-02T23:38:03Z,2020-02-02T00:00:00Z,pa,x,e1,31,Salbutamol,1.00,,",
    ],
}


def folder(place: Path, **changed: Sequence[str]) -> Path:
    """Writes a folder of two patients, three providers and five rows; `changed` replaces a file's rows."""
    place.mkdir(parents=True, exist_ok=True)
    for name, header in HEADERS.items():
        lines = [header, *changed.get(name, ROWS[name])]
        (place / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return place
