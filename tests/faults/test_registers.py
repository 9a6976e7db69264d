"""A tenth of the registers, and that the check finds what it is to find."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.registers import Seen, broken, run
from tests.faults.report import Scenario, seed


@pytest.mark.timeout(300)
def test_nobody_reads_older_than_is_promised_whatever_befalls_redis(tmp_path: Path) -> None:
    """Through the gateway that wrote, never; through the other one, for two seconds at most."""
    report = run(Scenario(tmp_path, seed(), 0.1))
    figures: Any = report.figures
    assert report.broken == []
    assert figures["caremesh; hit"] > 500
    assert figures["the store went away"] >= 4, "each gateway lost it when it was killed and when it fell silent"


READ = Seen(writes=False, gateway=0, record=1, version=1, mark="a", began=10.0, ended=10.1)
WRITE = replace(READ, writes=True, version=2, mark="b", began=1.0, ended=2.0)


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (READ, "older than what was written through the same"),
        (replace(READ, gateway=1), "older than the fresh time"),
        (replace(READ, gateway=1, began=3.9), ""),
        (replace(READ, began=1.9), ""),
        (replace(READ, version=2, mark="b"), ""),
        (replace(READ, version=2, mark="of another"), "nobody wrote that"),
        (replace(READ, record=2), ""),
    ],
)
def test_the_check_finds_what_may_not_be_and_nothing_else(read: Seen, told: str) -> None:
    """A check that cannot fail shows nothing."""
    first = replace(WRITE, version=1, mark="a", began=0.0, ended=0.5)
    found = broken([first, replace(first, record=2), WRITE, read])
    assert [one.startswith(told) for one in found] == [True] * bool(told)
