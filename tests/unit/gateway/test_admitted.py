"""What the gateway refuses before the framework sees it, and what it lets in whatever there is to do."""

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from gateway.http.admitted import OWN, Admitted, priority_of
from gateway.http.exchange import KEY, Exchange
from mesh.admission import Admission, Asking
from mesh.clock import SystemClock
from mesh.events import Shed
from mesh.policy import AdmissionPolicy
from mesh.policy.methods import Priority
from mesh.testing import TurnedClock
from tests.fakes.gateway import Gateway
from tests.fakes.mesh import Recorded

ONE = AdmissionPolicy(first=1, least=1, most=1, patience=0.01)


@dataclass
class Busy:
    """A gateway with room for one request, which somebody has."""

    events: Recorded = field(default_factory=Recorded)

    async def __aenter__(self) -> Gateway:
        self._admission = Admission("gateway", ONE, clock=SystemClock(), rng=Random(1), events=self.events)
        self._permit = await self._admission.enter(Asking("GET"))
        return Gateway(admission=self._admission)

    async def __aexit__(self, *_: object) -> None:
        self._admission.leave(self._permit, "done", took=OWN)


async def test_a_request_too_many_is_503_with_the_time_to_come_again() -> None:
    """And it reaches no service: nothing was done, and it may be repeated as it is."""
    busy = Busy()
    async with busy as gateway:
        answer = await gateway.request("GET", "/records/7", headers={"Request-Id": "r-1"})
        assert (answer.status, answer.json["type"]) == (503, "urn:caremesh:problem:overloaded")
        assert 2 <= int(answer.headers["retry-after"]) <= 3
        assert "connection_limit_reached" in answer.headers["proxy-status"]
        assert answer.headers["request-id"] == "r-1"
        assert gateway.asked == []
    (shed,) = busy.events.of(Shed)
    assert (shed.request_id, shed.method, shed.priority) == ("r-1", "GET", "normal")
    assert (await gateway.request("GET", "/records/7")).status == 200


@pytest.mark.parametrize("probe", ["/livez", "/readyz", "/health"])
async def test_probes_are_answered_however_much_there_is_to_do(probe: str) -> None:
    """A busy gateway that a balancer takes away makes the others busier."""
    async with Busy() as gateway:
        assert (await gateway.request("GET", probe)).status == 200


ORDER: list[tuple[str, str, Priority]] = [
    ("POST", "/records", "high"),
    ("PUT", "/prescriptions/3", "high"),
    ("DELETE", "/records/3", "high"),
    ("GET", "/patients/7/records", "normal"),
    ("GET", "/patients/7/records/3/history", "low"),
    ("GET", "/livez", "always"),
    ("POST", "/livez", "always"),
]


@pytest.mark.parametrize(("verb", "path", "priority"), ORDER)
def test_writes_go_before_reads_and_histories_come_last(verb: str, path: str, priority: Priority) -> None:
    """What a person has written down is the last thing to be sent away."""
    assert priority_of(verb, path) == priority


async def test_what_a_service_takes_is_no_load_of_the_gateways() -> None:
    """A slow service must not close the gateway to the requests for another one."""
    clock, takes = TurnedClock(), [0.001, 0.001, 2.0, 2.0, 2.0]
    policy = AdmissionPolicy(first=4, least=1, minimum=2)
    admission = Admission("gateway", policy, clock=clock, rng=Random(1), events=Recorded())

    async def app(*_: object) -> None:
        await clock.sleep(takes[0])

    async def request() -> None:
        exchange = Exchange("r", "", clock.now(), 5.0)
        await Admitted(app, admission)({"type": "http", "method": "GET", "path": "/", KEY: exchange}, never, never)

    while takes:
        requests = [asyncio.create_task(request()) for _ in range(4)]
        await clock.turn(3.0)
        await asyncio.wait(requests)
        del takes[0]
    assert admission.limit >= 4


async def never(*_: object) -> Any:
    raise AssertionError
