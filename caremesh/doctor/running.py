"""How the clinic is that runs here: its processes, and its services as each gateway sees them."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

from caremesh.doctor.finding import Finding, note, well, wrong
from caremesh.state import State, alive

ANSWER = 3.0  # seconds


def running(state: State | None) -> Iterator[Finding]:
    """Its processes and services; a clinic that does not run is no fault."""
    if state is None:
        yield note("running", "no clinic runs on this data", "`caremesh up` starts it")
        return
    down = [one.name for one in state.processes if one.pid is None or not alive(one.pid)]
    if down:
        yield wrong("processes", f"{', '.join(down)} keeps ending", "its lines in the output of `caremesh up` say why")
    else:
        yield well("processes", f"{len(state.processes)} run under pid {state.pid}")
    for one in state.processes:
        if one.kind == "gateway":
            yield from gateway(one.name, one.address)


def gateway(name: str, address: str) -> Iterator[Finding]:
    """What one gateway says of the services behind it."""
    remedy = "its lines in the output of `caremesh up` say why"
    try:
        told = health(address)
    except (OSError, http.client.HTTPException, ValueError) as error:
        yield wrong(name, f"http://{address}/health gives no answer ({type(error).__name__})", remedy)
        return
    for service in told.get("services") or []:
        yield _service(f"{name} → {service['service']}", service, remedy)


def health(address: str) -> dict[str, Any]:
    """What a gateway answers at /health.

    Raises:
        OSError, HTTPException, ValueError: it gives no answer that could be read.
    """
    connection = http.client.HTTPConnection(address, timeout=ANSWER)
    try:
        connection.request("GET", "/health")
        told = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    if not isinstance(told, dict):
        raise ValueError("not an object")  # noqa: TRY004  # told as one with what is not JSON at all
    return told


def _service(what: str, service: dict[str, Any], remedy: str) -> Finding:
    endpoints = service["endpoints"]
    told = ", ".join(f"{one['address']} {_endpoint(one)}" for one in endpoints) or "nobody is registered"
    return well(what, told) if service["state"] == "up" else wrong(what, told, remedy)


def _endpoint(one: dict[str, Any]) -> str:
    return str(one["probe"]) if one["breaker"] == "closed" else f"{one['probe']}, breaker {one['breaker']}"
