"""What no JSON Schema can say: schemathesis takes a request for valid that only the gateway can know to be wrong.

Each line below is an exemption of valid requests from being anything; invalid ones are left as they are.
"""

import re
from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis import Case, GenerationMode, HookContext


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Makes requests that pass the schemas pass the rules between fields, too."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    # A cursor is opaque: the pattern says which letters it may have, only a page can make one.
    if case.query:
        case.query.pop("cursor", None)
    # A body may repeat the ids of the path and not contradict them: a rule between two places.
    if isinstance(case.body, dict):
        for name in case.body.keys() & (case.path_parameters or {}).keys() & {"patient_id"}:
            case.body[name] = case.path_parameters[name]
        for name in ("record_id", "prescription_id"):
            case.body.pop(name, None)
        # A replacement keeps the stored source_id: which one that is, only the service knows.
        if case.method == "PUT":
            case.body.pop("source_id", None)
        # A format does not know the domains that nobody's mail goes to (RFC 6761).
        if str(case.body.get("mail_to")).endswith((".test", ".invalid", ".local", ".localhost", ".onion", ".arpa")):
            case.body["mail_to"] = "pharmacy@example.org"
    # To JSON Schema 7.0 is an integer. Here it is refused, in ids above all, and the ids' own tests hold that.
    case.body = whole(case.body)
    if case.headers:
        mend(case.headers)


def mend(headers: Any) -> None:
    """The same for headers."""
    # Which tag is the stored one's and which keys were used before, only the service knows. Along links, tags are true.
    if not re.fullmatch(r'"\d+\.\d+"', headers.get("If-Match", '"1.1"')):
        headers["If-Match"] = "*"
    # The coverage phase makes no header with quotes in it and sends 0, which is no tag.
    if headers.get("If-None-Match") == "0":
        headers["If-None-Match"] = '"0"'
    if "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = str(uuid4())
    # A client that gives a request a microsecond gets its 504, as documented; here it says nothing new.
    if "Request-Timeout" in headers:
        headers["Request-Timeout"] = "1.5"


def whole(value: Any) -> Any:
    """The same value with 7 for every 7.0 in it."""
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
