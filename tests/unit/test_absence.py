"""A test that cannot run on a machine says so where it is read, and cannot hide in CI."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDY = """
from tests.fakes.absence import cannot_run
def test_needy():
    cannot_run("the moon", "look up")
def test_content():
    assert True
"""


def run(folder: Path, ci: str) -> "subprocess.CompletedProcess[str]":
    test = folder / "test_needy.py"
    test.write_text(NEEDY)
    command = [sys.executable, "-m", "pytest", "-n0", "-p", "tests.conftest", "-p", "no:cacheprovider", str(test)]
    environ = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, "-c", str(ROOT / "pyproject.toml")], env=environ, capture_output=True, text=True, check=False
    )


def test_it_is_told_above_the_closing_line_with_its_remedy(tmp_path: Path) -> None:
    done = run(tmp_path, "")
    *_, told, closing = done.stdout.splitlines()
    assert done.returncode == 0
    assert told == "the moon; look up"
    assert "1 passed, 1 skipped" in closing


def test_in_ci_it_fails(tmp_path: Path) -> None:
    """CI installs everything, so nothing may be missing there."""
    done = run(tmp_path, "true")
    assert done.returncode == 1
    assert "not run here: the moon; look up" in done.stdout
