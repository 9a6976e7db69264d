"""The library alone: the wheel of this tree, in an environment that has what `mesh` needs and nothing else."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

HOUSE = Path(__file__).parents[2]
PAGE = HOUSE / "docs" / "mesh.md"
LINES = 30
NEED_AN_EXTRA = ("mesh.cache.redis",)
IMPORT_ALL = """
import importlib, pkgutil, sys
import mesh
for found in pkgutil.walk_packages(mesh.__path__, "mesh."):
    if found.name not in sys.argv:
        importlib.import_module(found.name)
        print(found.name)
"""
FIND = "import sys; from importlib.util import find_spec; print([name for name in sys.argv[1:] if find_spec(name)])"
TOOLS = Path(sys.executable).parent


def block(language: str) -> str:
    """The first block of the page in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found, f"the page has no block in {language}"
    return found[1]


def run(*command: str | Path, place: Path) -> str:
    """Runs it there, away from this tree; gives what it printed."""
    environment = {"PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}", "HOME": str(place)}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet")
    run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", place, HOUSE, place=place)
    (built,) = place.glob("caremesh-*.whl")
    return built


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and what it says that it needs.

    That is copied from the present environment, by the files that each package recorded: so no index is needed, and
    nothing is there by accident.
    """
    place = tmp_path_factory.mktemp("alone")
    venv.EnvBuilder(symlinks=True, with_pip=False).create(place)
    (packages,) = place.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (metadata,) = packages.glob("caremesh-*.dist-info")
    for needed in closure(Distribution.at(metadata)):
        copy(needed, packages)
    return place / "bin" / "python"


def closure(of: Distribution) -> Iterator[Distribution]:
    """What a distribution needs without its extras, and what that needs."""
    seen: set[str] = set()
    waiting = [of]
    for one in waiting:
        for text in one.requires or ():
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            found = distribution(requirement.name)
            if found.name not in seen:
                seen.add(found.name)
                waiting.append(found)
                yield found


def copy(one: Distribution, packages: Path) -> None:
    for file in one.files or ():
        source, target = Path(str(one.locate_file(file))), packages / file
        if ".." not in file.parts and file.suffix != ".pyc" and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)


def test_the_example_of_the_page_runs_as_it_stands_there(alone: Path, tmp_path: Path) -> None:
    """It is the first thing that an engineer tries, by copying it."""
    (tmp_path / "greeter.proto").write_text(block("proto"), encoding="utf-8")
    (tmp_path / "example.py").write_text(block("python"), encoding="utf-8")
    compile_it = PAGE.read_text(encoding="utf-8").partition("```sh\nmkdir wire\n")[2].partition("\n```")[0]
    (tmp_path / "wire").mkdir()
    run(*compile_it.split(), place=tmp_path)
    told = run(alone, "-W", "error", "example.py", place=tmp_path).splitlines()
    names = ("Ada", "Barbara", "Edsger", "Grace")
    greetings = [line for line in told if line.startswith("Hello")]
    assert greetings == [f"Hello, {name}!" for name in names * 5]
    assert all(line.startswith("Retried(") for line in told if line not in greetings)


def test_the_example_has_thirty_lines() -> None:
    """As its heading says; what needs more is not simple to begin with."""
    assert len([line for line in block("python").splitlines() if line.strip()]) <= LINES


def test_the_library_needs_nothing_of_the_clinic(alone: Path, tmp_path: Path) -> None:
    """Each of its modules is imported where no framework, database or telemetry is."""
    told = run(alone, "-W", "error", "-c", IMPORT_ALL, *NEED_AN_EXTRA, place=tmp_path)
    assert "mesh.client" in told.splitlines()
    assert run(alone, "-c", FIND, "pydantic", "quart", "opentelemetry", "redis", "tests", place=tmp_path) == "[]\n"


def test_the_wheel_has_the_rooms_and_no_tests(wheel: Path) -> None:
    """What is in it is installed on other people's machines; `py.typed` gives them our types."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"mesh/py.typed", "mesh/client.py", "mesh/wire/mesh/registry/v1/__init__.py"} <= names
    assert not {name.partition("/")[0] for name in names} & {"tests", "docs", "tools", "benchmarks"}
