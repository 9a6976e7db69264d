"""Asks a process of the running clinic over its control port."""

import http.client
import json
from typing import Any
from urllib.parse import urlencode

from caremesh.state import Running, State

ANSWER = 5.0  # seconds


class Unanswered(Exception):
    """The process gave no answer, or refused; the text says which one and why."""


def ask(state: State, process: Running, method: str, path: str, **arguments: Any) -> Any:
    """What one of the clinic's processes answers. The arguments go into the query of a GET, else into the body.

    Raises:
        Unanswered: it did not answer, or it refused.
    """
    target = f"{path}?{urlencode(arguments)}" if method == "GET" and arguments else path
    body = None if method == "GET" else json.dumps(arguments)
    connection = http.client.HTTPConnection(process.control, timeout=ANSWER)
    try:
        connection.request(method, target, body, {"Authorization": f"Bearer {state.token}"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unanswered(f"{process.name} gives no answer at {process.control} ({type(error).__name__})") from None
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise Unanswered(f"{process.name} refuses: {told['error']}")
    return told
