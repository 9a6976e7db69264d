"""What the mesh did, as log lines."""

import logging

import pytest

from mesh.events import WouldHave
from observability.narration import narrate


def test_what_a_policy_in_shadow_would_have_done_can_be_read_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever tries a figure out must see what it would do, and only when asked for it: it comes with every call."""
    event = WouldHave("records", "budget", "not made the call again", "budget_spent", "", "/s/m", "r-1")
    with caplog.at_level(logging.DEBUG, "observability.narration"):
        narrate(event)
    line = "records: budget in shadow would have not made the call again (budget_spent)"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("DEBUG", line)]
