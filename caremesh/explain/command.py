"""Tells why a request went as it did: who was asked, what came of each attempt, why it was made again or not.

REQUEST_ID stands in the answer's Request-Id, in its problem document, and in the gateway's log. The gateways keep
the last 2000 requests in memory, and apart from those the last 2000 that went wrong; a restart forgets them.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caremesh import config, state
from caremesh.control import Unanswered, ask
from caremesh.explain.story import lines
from caremesh.terminal import complain, harmless, say

INSTANCE = "urn:caremesh:request:"
"""What a problem's `instance` has before the id."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("request_id", metavar="REQUEST_ID", help="the request's id, or a problem's `instance`")
    parser.add_argument("--json", action="store_true", help="the events as they were, for programs")
    parser.add_argument(
        "--config", type=Path, default=Path(config.DEFAULT_FILE), metavar="FILE", help="(default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Tells it; 1 when nothing is known of the request."""
    request_id = arguments.request_id.removeprefix(INSTANCE)
    try:
        running = state.running(config.read(arguments.config).data)
    except config.ConfigError as error:
        complain(str(error))
        return 2
    if running is None:
        complain("no clinic runs on this data, and its gateways' memory went with them; `caremesh up` starts it")
        return 1
    stories, others = _asked(running, request_id)
    if arguments.json:
        say(json.dumps(stories, indent=1, ensure_ascii=False))
    for story in () if arguments.json else stories:
        say("\n".join(harmless(line) for line in lines(story, story["process"])))
    if not stories:
        complain("\n".join([f"nothing is known of request {harmless(request_id)}:", *others]))
    return 0 if stories else 1


def _asked(running: state.State, request_id: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The stories of those gateways that have one, and what the others say."""
    stories, others = [], []
    for gateway in _gateways(running):
        try:
            answer = ask(running, gateway, "GET", "/stories", request_id=request_id)
        except Unanswered as error:
            others.append(f"  {error}")
            continue
        if answer["story"]:
            stories.append({"process": gateway.name, **answer["story"]})
        else:
            others.append(f"  {_remembers(gateway.name, answer['remembers'])}")
    return stories, others


def _gateways(running: state.State) -> Iterator[state.Running]:
    return (process for process in running.processes if process.kind == "gateway")


def _remembers(name: str, remembers: dict[str, Any]) -> str:
    kept = f"{remembers['requests']} requests, and {remembers['wrong']} that went wrong"
    return f"{name} remembers {kept}, since {remembers['since']}; compare the id with the answer's Request-Id"
