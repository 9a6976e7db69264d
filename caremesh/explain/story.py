"""The whole story: what was asked and answered, what happened when, where the time went, what lay around it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from caremesh.explain.words import Told, method, seconds, told

Story = Mapping[str, Any]
"""As a gateway's control port tells it."""


def lines(story: Story, process: str) -> Iterator[str]:
    """The story of one request at one gateway."""
    events = story["events"]
    yield f"request {story['request_id']} at {process}, {_asked(events)}; it began at {story['began']}"
    yield ""
    if story["left_out"]:
        yield f"  {story['left_out']} earlier events of this id are not remembered"
    yield from (f"{event['ms']:>11.1f} ms  {told(event)}" for event in events)
    yield from _section("where the time went", [text for call in calls(events) for text in _spent(call)])
    yield from _section("around it", [f"{_beside(event['ms'])}  {told(event)}" for event in around(story)])


def _section(title: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield from ("", f"{title}:", *(f"  {text}" for text in texts))


def _asked(events: Sequence[Told]) -> str:
    answered = [event for event in events if event["event"] == "Answered"]
    if not answered:
        return "which is not answered yet"
    last = answered[-1]
    return f"{last['verb']} {last['route'] or 'of no route'} → {last['status']} in {seconds(last['seconds'])}"


def _beside(ms: float) -> str:
    away = f"{seconds(abs(ms) / 1000)} {'before' if ms < 0 else 'after its beginning'}"
    return f"{away:>26}"


def calls(events: Sequence[Told]) -> list[list[Told]]:
    """The events of each call, in the order in which the calls began; those before any call are left out."""
    found: list[list[Told]] = []
    for event in events:
        if event["event"] == "CallStarted":
            found.append([])
        if found:
            found[-1].append(event)
    return found


def around(story: Story) -> list[Told]:
    """What happened beside it to the services that it asked: to all of them where it found nobody to ask."""
    others, asked = story["around"], set[str]()
    for event in story["events"]:
        asked |= _addresses(event)
    services = {other["service"] for other in others if "service" in other and asked & _addresses(other)}
    if not asked and not any(event["event"] == "NobodyToAsk" for event in story["events"]):
        return []
    return [other for other in others if not services or other.get("service", "") in {"", *services}]


def _addresses(event: Told) -> set[str]:
    return {event.get("endpoint", ""), *event.get("added", ())} - {""}


def _spent(call: Sequence[Told]) -> Iterator[str]:
    """Each share of the time that was granted: attempts, pauses, the rest, and what was left."""
    began, ended = call[0], [event for event in call if event["event"] == "CallEnded"]
    took = ended[-1]["seconds"] if ended else 0.0
    yield f"{method(began['method'])} had {seconds(began['granted'])}"
    named = 0.0
    for event in call:
        if event["event"] == "AttemptEnded":
            share, what = event["seconds"], f"attempt {event['number']} at {event['endpoint']}"
        elif event["event"] == "Retried":
            share, what = event["delay"], f"the pause after attempt {event['number']}"
        else:
            continue
        named += share
        yield f"{seconds(share):>10}  {what}"
    if ended:
        yield f"{seconds(max(0.0, took - named)):>10}  the mesh itself, and waiting for a turn"
        yield f"{seconds(max(0.0, began['granted'] - took)):>10}  left over"
