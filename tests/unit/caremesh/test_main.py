"""The command itself: quick, helpful, honest in its exit codes."""

import subprocess
import sys

import pytest

from caremesh.main import COMMANDS, main
from mesh.version import __version__


def test_help_names_every_command_and_a_first_visit(capsys: pytest.CaptureFixture[str]) -> None:
    """It is what people read first; a command that is not there does not exist for them."""
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)
    assert "\x1b" not in text


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its module is found, and says what it does before its options."""
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out.split("options:")[0]) > 200


def test_version_is_the_librarys(capsys: pytest.CaptureFixture[str]) -> None:
    """There is one version of all of it."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"caremesh {__version__}\n"


def test_an_unknown_command_is_wrong_usage_and_answered_with_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, as argparse has it for unknown options."""
    assert main(["upp"]) == 2
    assert "Did you mean `caremesh up`?" in capsys.readouterr().err
    assert main([]) == 2


def test_help_imports_no_command() -> None:
    """`caremesh --help` is answered before one could look away."""
    code = "import sys; from caremesh.main import main; main(['--help']); print([m for m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    assert not [name for name in ("asyncio", "aiohttp", "pydantic", "rich", "caremesh.doctor") if f"'{name}'" in loaded]


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--seed", "0"],
        ["demo", "--patients", "1000"],
        ["demo", "--concurrency", "0"],
        ["demo", "--gateway", "localhost:8080"],
        ["import-synthea"],
    ],
)
def test_wrong_arguments_are_told_and_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is done on a guess."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: caremesh" in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_way_to_the_environment() -> None:
    """The command is easily started with another Python than the one that was built for it."""
    code = "import sys; sys.modules['aiohttp'] = None; from caremesh.main import main; sys.exit(main(['demo']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the package aiohttp is missing here; `make run` builds the environment" in done.stderr
    assert "Traceback" not in done.stderr
