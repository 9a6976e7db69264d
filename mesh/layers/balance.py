"""Takes one of the available endpoints for each attempt."""

from collections.abc import Awaitable, Sequence
from math import inf
from random import Random
from typing import Protocol

from mesh.call import Call, Handler, Reply
from mesh.clock import Clock
from mesh.decide.choice import ANYONE, Choice, anyone, choose
from mesh.decide.load import Load
from mesh.errors import MeshError, NoEndpoint
from mesh.events import Chosen, Events, NobodyToAsk, WouldHave
from mesh.policy import BalancePolicy


class Endpoint(Protocol):
    """A handler that shows what a balancer must see."""

    @property
    def address(self) -> str: ...

    @property
    def load(self) -> Load: ...

    def usable(self, now: float) -> bool:
        """False while a call would be refused or nobody is at home."""
        ...

    def __call__(self, call: Call) -> Awaitable[Reply]: ...


class Endpoints(Protocol):
    """Those who could answer, as far as is known at this moment."""

    def known(self) -> Sequence[Endpoint]: ...

    def retry_after(self) -> float:
        """Seconds until one of them may be usable again."""
        ...


def balance(
    service: str, endpoints: Endpoints, policy: BalancePolicy, clock: Clock, rng: Random, events: Events
) -> Handler:
    """The cheaper of two endpoints that chance names, others than those the call has already tried.

    One that is ejected is asked only where there is nobody else.
    """

    def chosen(call: Call, candidates: Sequence[Endpoint], now: float) -> tuple[Endpoint, Choice]:
        if policy.mode != "off":
            # Whoever was silent for long may be unwell: no call is tried on it that could not be made again.
            patient = call.attempt > 1 or not call.repeatable
            endpoint, choice = choose(candidates, now, rng, inf if patient else policy.silence)
            if policy.mode == "enforce":
                return endpoint, choice
        plain = anyone(candidates, rng)
        if policy.mode == "shadow" and endpoint is not plain:
            what, method = f"asked {endpoint.address}", call.method.path
            events.emit(WouldHave(service, "balance", what, choice.reason, plain.address, method, call.request_id))
        return plain, ANYONE

    async def handler(call: Call) -> Reply:
        now, known = clock.now(), endpoints.known()
        usable = [endpoint for endpoint in known if endpoint.usable(now)]
        if not usable:
            raise _nobody(service, call, endpoints, len(known), events)
        candidates = usable
        if call.avoid:
            candidates = [endpoint for endpoint in usable if endpoint.address not in call.avoid] or usable
        candidates = [endpoint for endpoint in candidates if not endpoint.load.ejected] or candidates
        endpoint, (reason, weighed) = chosen(call, candidates, now)
        events.emit(
            Chosen(call.method.path, call.request_id, endpoint.address, reason, weighed, len(usable), len(known))
        )
        if call.asked is not None:
            call.asked.append(endpoint.address)
        try:
            return await endpoint(call)
        except MeshError as error:
            error.endpoint, error.alone = endpoint.address, len(usable) == 1
            raise

    return handler


def _nobody(service: str, call: Call, endpoints: Endpoints, known: int, events: Events) -> NoEndpoint:
    reason = "none_available" if known else "none_known"
    events.emit(NobodyToAsk(call.method.path, call.request_id, known, reason))
    told = f"none of the {known} endpoints of {service} is available" if known else f"no endpoint of {service} is known"
    return NoEndpoint(told, retry_after=endpoints.retry_after())
