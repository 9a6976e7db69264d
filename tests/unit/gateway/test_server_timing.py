"""`Server-Timing` says where a request's time went; the parts are together what the whole took."""

from typing import Any

import pytest

from gateway.http.exchange import Exchange
from gateway.http.server_timing import receipt
from gateway.settings import GatewaySettings
from mesh.call import Reply
from mesh.errors import NoEndpoint
from mesh.served import Served
from mesh.testing import TurnedClock
from mesh.timing import SERVER_TIMING
from tests.fakes.gateway import Gateway
from tests.fakes.upstream import FakeService

TOLD = "queue;dur=1.000, database;dur=20.000, service;dur=4.000"


class Timed(FakeService):
    """Answers after 50 ms, 40 of which its attempts took."""

    def __init__(self, clock: Any) -> None:
        super().__init__("records")
        self._clock = clock
        self.served: Served | None = None

    async def call(self, method: str, message: Any, **told: Any) -> Reply:
        reply = await super().call(method, message, **told)
        self._clock.now_is += 0.05
        return reply._replace(seconds=0.04, headers={SERVER_TIMING: TOLD}, served=self.served)


class Stepped(TurnedClock):
    """A clock that the service moves."""

    def __init__(self) -> None:
        super().__init__()
        self.now_is = 1000.0

    def now(self) -> float:
        return self.now_is


def gateway() -> tuple[Gateway, Timed]:
    clock = Stepped()
    service = Timed(clock)
    return Gateway(records=service, clock=clock, settings=GatewaySettings()), service


async def timing(asked: Gateway) -> str | None:
    return (await asked.request("GET", "/records/7")).headers.get("server-timing")


async def test_each_part_is_told_hop_by_hop_and_they_add_up() -> None:
    """50 ms: 10 in the cache, 15 on the way, 25 in the service; of the gateway's own clock nothing else passed."""
    asked, _ = gateway()
    assert await timing(asked) == (
        "gateway;dur=0.000, cache;dur=10.000, attempts;dur=15.000, queue;dur=1.000, database;dur=20.000, "
        "service;dur=4.000, total;dur=50.000"
    )


async def test_what_another_call_brought_is_waited_for_in_the_cache() -> None:
    """Its attempts were another's, and may have begun long before."""
    asked, service = gateway()
    service.served = Served("joined")
    assert await timing(asked) == "gateway;dur=0.000, cache;dur=50.000, attempts;dur=0.000, total;dur=50.000"


@pytest.mark.parametrize("how", ["hit", "stale"])
async def test_what_was_kept_has_no_receipt(how: str) -> None:
    """It called nobody, and is the same bytes each time."""
    asked, service = gateway()
    service.served = Served(how, age=1.0, ttl=1.0)
    assert await timing(asked) is None


async def test_a_failure_has_one_too() -> None:
    """Whoever waited in vain wants to know for what."""
    asked, service = gateway()
    service.fails(NoEndpoint("nobody"))
    answer = await asked.request("GET", "/records/7")
    assert answer.status == 503
    assert answer.headers["server-timing"].startswith("gateway;dur=")


def test_what_comes_before_and_after_the_calls_is_the_gateways() -> None:
    """The framework's time is part of what the client waits for."""
    exchange = Exchange("r", "", started=1.0, longest=5.0)
    assert receipt(exchange, 9.0) == b""
    exchange.calls += [(1.25, 2.0, {"cache": 0.25, "attempts": 0.5}), (2.0, 3.0, {"cache": 0.0, "attempts": 1.0})]
    told = b"gateway;dur=750.000, cache;dur=250.000, attempts;dur=1500.000, total;dur=2500.000"
    assert receipt(exchange, 3.5) == told
