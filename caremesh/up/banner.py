"""What `caremesh up` prints when all is ready: addresses, three commands to paste, where letters go."""

import json
import shlex

from caremesh.up.plan import RELAY, Plan

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


MAILED = PRESCRIPTION | {"mail_to": "pharmacy@example.org"}


def commands(gateway: str, *, mailed: bool) -> list[tuple[str, str]]:
    """What each of the three does, and the line to paste. `mailed`: the prescription, too."""
    both = f"curl -sS {gateway}/records/{PATIENT} {gateway}/prescriptions/{PATIENT}"
    return [
        ("write a record", _post(f"{gateway}/records", RECORD)),
        (
            "write a prescription, and mail it" if mailed else "write a prescription",
            _post(f"{gateway}/prescriptions", MAILED if mailed else PRESCRIPTION),
        ),
        ("read both back", f"{both} -w '\\n'"),
    ]


def banner(plan: Plan) -> list[str]:
    """The lines of it."""
    gateways = [f"http://{spec.address}" for spec in plan.specs if spec.kind == "gateway"]
    others = [f"{spec.name} {spec.address}" for spec in plan.specs if spec.kind != "gateway"]
    lines = ["", "CareMesh is ready", ""]
    lines += [f"  {gateway}        try it: {gateway}/docs" for gateway in gateways]
    lines += [f"  {', '.join(others)}", ""]
    for what, line in commands(plan.gateway, mailed=bool(plan.sink)):
        lines += [f"  # {what}", f"  {line}", ""]
    return [
        *lines,
        f"  {_mail(plan)}",
        "  Ctrl-C stops everything in order; `caremesh demo` in another terminal makes a small clinic",
        "",
    ]


def _mail(plan: Plan) -> str:
    if plan.sink:
        return f"letters go to {plan.sink}, which brings them to nobody: `caremesh mail inbox` shows them"
    environment = plan.environments["prescriptions"]
    if environment.get(RELAY) or environment.get(f"{RELAY}_FILE"):
        return f"letters go to the relay that {RELAY} names: `caremesh mail list` tells what became of them"
    return f"letters wait: there is no [mail-sink], and {RELAY} names no relay"


def _post(url: str, body: dict[str, object]) -> str:
    text = shlex.quote(json.dumps(body))
    return f"curl -sS {url} -H 'Content-Type: application/json' -d {text} -w '\\n'"
