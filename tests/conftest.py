"""What holds for every test: one that could not run here is told at the end, above pytest's closing line."""

import os

import pytest
from _pytest.nodeid import coerce_node_id

from tests.fakes.absence import MARK
from tests.stack import stack

__all__ = ["stack"]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no CAREMESH_… or OTEL_… of the shell they were started from, apart from CAREMESH_TEST_…."""
    for name in list(os.environ):
        if name.startswith(("CAREMESH_", "OTEL_")) and not name.startswith("CAREMESH_TEST_"):
            monkeypatch.delenv(name)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps tests of one `xdist_group` on one worker, so that one worker starts what they share.

    xdist 3.8 tells its scheduler by a suffix of the node id, which pytest 9.2 does not take from it any more,
    without a word (pytest-dev/pytest-xdist#1386). Goes when xdist says it in another way.
    """
    for item in items if config.getoption("loadgroup", default=False) else ():
        group = "_".join(sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")}))
        if group and not item.nodeid.endswith(f"@{group}"):
            item._id = coerce_node_id(f"{item.nodeid}@{group}")


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
