"""Probes tell what this gateway sees, and the page at /docs needs nothing but itself."""

import re
from base64 import b64encode
from hashlib import sha256

from tests.fakes.gateway import Gateway
from tests.fakes.upstream import DOWN, SERVING


async def test_alive_is_alive_whatever_the_services_do() -> None:
    """Else a container engine would kill a gateway for a database's fault."""
    gateway = Gateway()
    gateway.records.states = gateway.prescriptions.states = []
    assert (await gateway.request("GET", "/livez")).json == {"state": "alive"}


async def test_ready_waits_for_every_service_and_then_bears_the_loss_of_one() -> None:
    """A gateway that left when one service is down would take the other one with it."""
    gateway = Gateway()
    gateway.records.states, gateway.prescriptions.states = [SERVING], []
    refused = await gateway.request("GET", "/readyz")
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.json["detail"] == "Nobody serves prescriptions."
    gateway.prescriptions.states = [SERVING]
    assert (await gateway.request("GET", "/readyz")).status == 200
    gateway.records.states = [DOWN]
    assert (await gateway.request("GET", "/readyz")).status == 200
    gateway.prescriptions.states = [DOWN]
    assert (await gateway.request("GET", "/readyz")).status == 503


async def test_an_endpoint_that_was_never_probed_makes_nobody_ready() -> None:
    """A list of addresses is not yet a service."""
    gateway = Gateway()
    gateway.records.states = [SERVING._replace(probe="not yet probed")]
    assert (await gateway.request("GET", "/readyz")).status == 503


async def test_a_gateway_that_is_ending_is_not_ready() -> None:
    """So that a balancer before it sends no more."""
    gateway = Gateway()
    assert (await gateway.request("GET", "/readyz")).status == 200
    gateway.draining = True
    assert (await gateway.request("GET", "/readyz")).status == 503


async def test_health_shows_every_endpoint_with_probe_breaker_and_latency() -> None:
    """Degraded while one replica is away, 503 with the same members when a service has nobody."""
    gateway = Gateway()
    gateway.records.states = [SERVING, DOWN]
    told = await gateway.request("GET", "/health")
    assert (told.status, told.json["state"]) == (200, "degraded")
    assert told.json["services"][0]["endpoints"][1] == DOWN._asdict()
    gateway.records.states = [DOWN]
    down = await gateway.request("GET", "/health")
    assert (down.status, down.headers["content-type"]) == (503, "application/problem+json")
    assert [service["state"] for service in down.json["services"]] == ["down", "up"]


async def test_docs_may_run_its_own_script_and_load_nothing() -> None:
    """Works with no network, and what a record's text holds cannot run in it."""
    answer = await Gateway().request("GET", "/docs")
    html, policy = answer.body.decode(), answer.headers["content-security-policy"]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?://|\ssrc=|@import|url\(|innerHTML", html)
