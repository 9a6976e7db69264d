"""Whatever a client makes of /openapi.json, the gateway answers as the document says: no 500, nothing undocumented."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import Stack, get

FOLDER = Path(__file__).parent / "openapi"
ROOT = FOLDER.parents[2]

pytestmark = pytest.mark.xdist_group("stack")


@pytest.mark.timeout(600)  # some 4,000 requests; a minute on two idle cores
def test_fifty_examples_an_operation_find_no_contradiction(stack: Stack, tmp_path: Path) -> None:
    """All checks of schemathesis, its examples, its edge cases, its sequences along the links; the seed is fixed.

    The exemptions, each with its reason: openapi/schemathesis.toml and openapi/hooks.py.
    """
    command = [Path(sys.executable).parent / "schemathesis", "--config-file", FOLDER / "schemathesis.toml", "run"]
    command += [f"{stack.url}/openapi.json", "--max-examples", "50", "--seed", "20261124"]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.contract.openapi.hooks", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*map(str, command), "--no-color"],
        cwd=tmp_path,
        env={**os.environ, **hooks},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    paths = json.loads(get(f"{stack.url}/openapi.json")[1])["paths"]
    # It asks for everything but the document that it reads anyway.
    assert f"Tested: {sum(map(len, paths.values())) - 1}\n" in done.stdout
