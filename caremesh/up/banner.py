"""What `caremesh up` prints when all is ready: addresses, and three commands to paste."""

import json
import shlex

from caremesh.up.plan import Plan

PATIENT = 7
RECORD = {
    "patient_id": PATIENT,
    "doctor_id": 3,
    "record_text": "Mild asthma, worse in spring.",
    "date": "2025-04-14",
    "category": "diagnosis",
}
PRESCRIPTION = {
    "patient_id": PATIENT,
    "doctor_id": 3,
    "medications": [{"medication_name": "Salbutamol 100 micrograms inhaler", "dosage": "2 puffs when short of breath"}],
}


def commands(gateway: str) -> list[tuple[str, str]]:
    """What each of the three does, and the line to paste."""
    both = f"curl -sS {gateway}/records/{PATIENT} {gateway}/prescriptions/{PATIENT}"
    return [
        ("write a record", _post(f"{gateway}/records", RECORD)),
        ("write a prescription", _post(f"{gateway}/prescriptions", PRESCRIPTION)),
        ("read both back", f"{both} -w '\\n'"),
    ]


def banner(plan: Plan) -> list[str]:
    """The lines of it."""
    gateways = [f"http://{spec.address}" for spec in plan.specs if spec.kind == "gateway"]
    others = [f"{spec.name} {spec.address}" for spec in plan.specs if spec.kind != "gateway"]
    lines = ["", "CareMesh is ready", ""]
    lines += [f"  {gateway}        try it: {gateway}/docs" for gateway in gateways]
    lines += [f"  {', '.join(others)}", ""]
    for what, line in commands(plan.gateway):
        lines += [f"  # {what}", f"  {line}", ""]
    return [*lines, "  Ctrl-C stops everything in order; `caremesh demo` in another terminal makes a small clinic", ""]


def _post(url: str, body: dict[str, object]) -> str:
    text = shlex.quote(json.dumps(body))
    return f"curl -sS {url} -H 'Content-Type: application/json' -d {text} -w '\\n'"
