"""The level of a running process's log can be read and changed."""

import io
import logging

import pytest

from mesh.events import Events
from observability.setup import setup
from process.control import ControlPort, Refused


async def test_debug_lines_come_once_they_are_asked_for_and_end_with_the_process() -> None:
    """What goes wrong now cannot be waited for until after a restart."""
    stream, log, control = io.StringIO(), logging.getLogger("gateway"), ControlPort(0, "")
    with setup(process="gateway.1", service="gateway", events=Events(), stream=stream) as observed:
        observed.steered_by(control)
        routes = control._routes["/log-level"]
        log.debug("unheard")
        assert await routes["GET"].handler({}) == {"level": "info"}
        assert await routes["PUT"].handler({"level": "debug"}) == {"level": "debug"}
        log.debug("heard")
        assert await routes["GET"].handler({}) == {"level": "debug"}
    assert "heard" in stream.getvalue()
    assert "unheard" not in stream.getvalue()


@pytest.mark.parametrize("asked", [{}, {"level": "loud"}, {"level": ["debug"]}, {"level": None}])
async def test_a_level_that_there_is_not_is_refused_with_those_that_there_are(asked: dict[str, object]) -> None:
    """And the log goes on as before."""
    observed, control = setup(process="p", service="s", events=Events()), ControlPort(0, "")
    observed.steered_by(control)
    with pytest.raises(Refused, match="debug, info, warning, error"):
        await control._routes["/log-level"]["PUT"].handler(asked)
