"""What holds for every test: one that could not run here is told at the end, above pytest's closing line."""

import os

import pytest

from tests.fakes.absence import MARK
from tests.stack import stack

__all__ = ["stack"]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no CAREMESH_… or OTEL_… of the shell they were started from, apart from CAREMESH_TEST_…."""
    for name in list(os.environ):
        if name.startswith(("CAREMESH_", "OTEL_")) and not name.startswith("CAREMESH_TEST_"):
            monkeypatch.delenv(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names what was not run here and how to get it."""
    told = set()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        told.add(reason.removeprefix("Skipped: "))
    if told:
        terminalreporter.section("not run here, and how to get it")
        for reason in sorted(told):
            terminalreporter.line(reason.removeprefix(MARK))
