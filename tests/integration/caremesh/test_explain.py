"""What the real mesh does under every fault, told whole: no event and no reason is left without words."""

import asyncio
import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from caremesh.explain.reasons import OUTCOMES, WHY
from caremesh.explain.story import lines
from caremesh.explain.words import TOLD
from gateway.http.problems import problem_of
from mesh.call import Call, Level, Method, Reply
from mesh.client import ServiceClient
from mesh.endpoints import Static
from mesh.errors import MeshError
from mesh.events import CallEnded, CallStarted, Events
from mesh.faults.fault import ERRORS, Fault, Faults
from mesh.policy import Policy
from mesh.policy.calls import BudgetPolicy
from mesh.testing import TurnedClock
from mesh.wire.grpc.health import v1 as health
from observability.stories import Stories

METHODS = {
    "Read": Method("/test.v1.Things/Read", str, str, Level.NO_SIDE_EFFECTS),
    "Write": Method("/test.v1.Things/Write", str, str, Level.UNKNOWN),
}
ADDRESSES = ("10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1")
CALLS = 150
SERVES = health.HealthCheckResponse(status=health.HealthCheckResponseServingStatus.SERVING)


class Wire:
    """Answers at once; a probe as serving."""

    async def __call__(self, call: Call) -> Reply:
        return Reply(SERVES if "Health" in call.method.path else "well")

    def close(self) -> None: ...

    def close_when_idle(self) -> None: ...


def faults(rng: Random) -> Sequence[Fault]:
    """Every way of failing, some everywhere and some at one endpoint; some so slow that attempts and calls run out."""
    ways = [Fault(0.02, error=error) for error in ERRORS]
    ways += [Fault(0.9, error="unavailable", endpoints=frozenset({rng.choice(ADDRESSES)}))]
    return [*ways, Fault(0.2, latency=0.1, jitter=1.5), Fault(0.02, latency=5.0)]


async def called(seed: int) -> tuple[Stories, dict[str, MeshError | None]]:
    """Many calls, and how each ended by its id."""
    clock, rng, events = TurnedClock(), Random(seed), Events()
    stories, ends = Stories(clock.now), dict[str, MeshError | None]()
    events.subscribe(stories)

    async def call(client: ServiceClient, request_id: str) -> None:
        try:
            await client.call(rng.choice(["Read", "Write"]), "it", timeout=1.0, request_id=request_id)
        except MeshError as error:
            ends[request_id] = error
        else:
            ends[request_id] = None

    client = ServiceClient(
        "things",
        methods=METHODS,
        source=Static(ADDRESSES),
        events=events,
        policy=Policy(budget=BudgetPolicy(share=0.05, per_second=0.1)),
        connect=lambda _: Wire(),
        faults=Faults(faults(rng), rng=rng),
        clock=clock,
        rng=rng,
    )
    async with client, asyncio.TaskGroup() as group:
        await clock.turn(0.1)
        for number in range(CALLS):
            group.create_task(call(client, f"r-{number}"))
            await clock.turn(rng.choice([0.0, 0.005, 0.05]))
        await clock.turn(10)
    return stories, ends


@pytest.mark.parametrize("seed", [0, 2, 4])  # in each of them a breaker opens, too
async def test_whatever_befalls_a_call_is_told_in_words_and_its_time_adds_up(seed: int) -> None:
    """A failure without a reason is the one that somebody will ask about."""
    stories, ends = await called(seed)
    assert len(ends) == CALLS
    met = set[str]()
    for request_id, error in ends.items():
        story = json.loads(json.dumps(stories.told(request_id)))
        text = "\n".join(lines(story, "gateway.1"))
        for event in [*story["events"], *story["around"]]:
            met.add(event["event"])
            assert event["event"] in TOLD
            assert reasoned(event), event
        assert time_adds_up(story["events"]), text
        if error is not None:
            header = problem_of(error, write=False, story=stories.last_call(request_id)).headers.get("Proxy-Status", "")
            assert not header or error.reason in header
    assert met >= {"Chosen", "FaultInjected", "AttemptEnded", "Retried", "NotRetried", "CallEnded", "BreakerChanged"}


def reasoned(event: dict[str, Any]) -> bool:
    """Have its words a translation? Texts with spaces speak for themselves."""
    words = [event.get("reason", ""), event.get("outcome", "")]
    known = OUTCOMES.keys() | WHY.keys() | {"named"}
    return all(" " in word or word.startswith("status_") or word in known for word in words if word)


def time_adds_up(events: Sequence[dict[str, Any]]) -> bool:
    """Attempts and pauses together take no longer than their call, and no call longer than it was granted."""
    started = next(event for event in events if event["event"] == CallStarted.__name__)
    ended = next(event for event in events if event["event"] == CallEnded.__name__)
    shares = [event["seconds"] for event in events if event["event"] == "AttemptEnded"]
    shares += [event["delay"] for event in events if event["event"] == "Retried"]
    return bool(sum(shares) <= ended["seconds"] + 1e-6 <= started["granted"] + 2e-6)
