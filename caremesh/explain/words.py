"""One event in words."""

from collections.abc import Callable, Mapping
from typing import Any

from caremesh.explain.reasons import INVALIDATED, outcome, why

Told = Mapping[str, Any]
"""An event as a gateway tells it: "event" names it, the rest are its fields."""


def told(event: Told) -> str:
    """The event in words; one that this version does not know, with its fields."""
    tell = TOLD.get(event["event"])
    if tell:
        return tell(event)
    fields = ", ".join(f"{name} {value}" for name, value in event.items() if name not in ("event", "ms", "request_id"))
    return f"{event['event']}: {fields}"


def seconds(value: float | None) -> str:
    """A duration as people say it; None is endless."""
    if value is None:
        return "as long as it takes"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms" if value >= 0.01 else f"{value * 1000:.1f} ms"  # noqa: PLR2004


def method(path: str) -> str:
    """A method without its package: "/caremesh.v1.PatientRecordsService/GetPatientRecord" is long."""
    return path.rpartition(".")[2].replace("/", ".")


def _call_started(event: Told) -> str:
    return f"{method(event['method'])} is called; {seconds(event['granted'])} are granted {why(event['reason'])}"


def _call_ended(event: Told) -> str:
    ended = "is answered" if event["outcome"] == "ok" else f"ends in {event['outcome']}"
    return f"the call {ended}, after {_took(event)}"


def _chosen(event: Told) -> str:
    scores = " against ".join(f"{address} at {seconds(score)}" for address, score in event["weighed"])
    weighed = f"{scores} weighed; " if scores else ""
    asked = f"{event['available']} of {event['known']} can be asked"
    return f"{asked}; {weighed}{event['endpoint']} is chosen: {why(event['reason'])}"


def _nobody(event: Told) -> str:
    return f"nobody to ask, of {event['known']} that are known: {why(event['reason'])}"


def _attempt_started(event: Told) -> str:
    return f"attempt {event['number']} goes to {event['endpoint']} and has {seconds(event['granted'])}"


def _attempt_ended(event: Told) -> str:
    return f"attempt {event['number']} at {event['endpoint']} {outcome(event['outcome'])}, after {_took(event)}"


def _batched(event: Told) -> str:
    return f"it travels to {event['endpoint']} with others, {event['calls']} as one call"


def _not_begun(event: Told) -> str:
    left, usual = seconds(event["left"]), seconds(event["usual"])
    return f"not begun with, {why(event['reason'])}: {left} are left, and half of its kind take {usual}"


def _retried(event: Told) -> str:
    pause = f"in {seconds(event['delay'])}" if event["delay"] else "at once"
    return f"attempt {event['number']} ended in {event['outcome']}: again {pause}; {_budget(event)}"


def _not_retried(event: Told) -> str:
    return f"attempt {event['number']} ended in {event['outcome']}: not again, {why(event['reason'])}; {_budget(event)}"


def _hedged(event: Told) -> str:
    left = f"hedges left: {event['budget']}"
    return f"attempt {event['number']} takes longer than most, {_took(event)}: another is made beside it; {left}"


def _not_hedged(event: Told) -> str:
    return f"attempt {event['number']} takes longer than most, {_took(event)}: none beside it, {why(event['reason'])}"


def _budget(event: Told) -> str:
    return f"retries left: {event['budget']}"


def _took(event: Told) -> str:
    return seconds(event["seconds"])


def _fault(event: Told) -> str:
    befalls = [f"is delayed by {seconds(event['delay'])}"] if event["delay"] else []
    befalls += [f"is made to fail as {event['error']}"] if event["error"] else []
    return f"on purpose, the attempt at {event['endpoint']} {' and '.join(befalls)}"


def _would_have(event: Told) -> str:
    where = f" at {event['endpoint']}" if event["endpoint"] else ""
    return f"in shadow: {event['policy']} would have {event['what']}{where}: {why(event['reason'])}"


def _breaker(event: Told) -> str:
    return f"{event['service']}: the breaker of {event['endpoint']} is {event['after']}: {event['reason']}"


def _ejection(event: Told) -> str:
    return f"{event['service']}: {event['endpoint']} is {event['after']} (was {event['before']}): {event['reason']}"


def _probe(event: Told) -> str:
    return f"{event['service']}: {event['endpoint']} is {event['after']}, say its probes (was {event['before']})"


def _endpoints(event: Told) -> str:
    came = [*(f"{address} comes" for address in event["added"]), *(f"{address} leaves" for address in event["removed"])]
    return f"{event['service']}: {', '.join(came)}: {event['reason']}"


def _registry(event: Told) -> str:
    reached = "answers" if event["reachable"] else f"is away: {why(event['reason'])}"
    return f"registry {event['registry']} {reached}"


def _cache_hit(event: Told) -> str:
    stale = f", though it is stale: {why(event['reason'])}" if event["how"] == "stale" else ""
    return f"answered without a call, by what was read {seconds(event['age'])} ago{stale}"


def _cache_missed(event: Told) -> str:
    return f"a call is needed: {why(event['reason'])}"


def _fill_discarded(event: Told) -> str:
    return f"the answer is not kept: {why(event['reason'])}"


def _invalidated(event: Told) -> str:
    what = "all answers that are kept" if event["tags"] is None else f"what is kept under {event['tags']} tags"
    return f"{event['service']}: {what} counts as old: {INVALIDATED.get(event['reason'], event['reason'])}"


def _store(event: Told) -> str:
    reached = "answers" if event["reachable"] else f"is away: {why(event['reason'])}"
    return f"{event['service']}: the store of answers {reached}"


def _shed(event: Told) -> str:
    full = f"{event['in_flight']} under way of {event['limit']} that may be"
    again = f"to come again in {seconds(event['retry_after'])}"
    return f"{event['service']} does not take it on, with {full}, and says {again}: {why(event['reason'])}"


def _limit(event: Told) -> str:
    return f"{event['service']}: {event['after']} may be under way (were {event['before']}): {why(event['reason'])}"


def _answered(event: Told) -> str:
    return f"the client is answered {event['status']}, after {_took(event)}"


TOLD: Mapping[str, Callable[[Told], str]] = {
    "Answered": _answered,
    "AttemptEnded": _attempt_ended,
    "AttemptStarted": _attempt_started,
    "Batched": _batched,
    "BreakerChanged": _breaker,
    "CacheHit": _cache_hit,
    "CacheMissed": _cache_missed,
    "CallEnded": _call_ended,
    "CallStarted": _call_started,
    "Chosen": _chosen,
    "EjectionChanged": _ejection,
    "EndpointsChanged": _endpoints,
    "FaultInjected": _fault,
    "FillDiscarded": _fill_discarded,
    "Hedged": _hedged,
    "Invalidated": _invalidated,
    "LimitChanged": _limit,
    "NobodyToAsk": _nobody,
    "NotBegun": _not_begun,
    "NotHedged": _not_hedged,
    "NotRetried": _not_retried,
    "ProbeChanged": _probe,
    "RegistryChanged": _registry,
    "Retried": _retried,
    "Shed": _shed,
    "StoreChanged": _store,
    "WouldHave": _would_have,
}
"""Every event that a request can meet, or that can lie around one."""
