"""The `caremesh` command: a table of names; a command's module is imported only when it is called."""

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from caremesh.terminal import complain, say, untold


@dataclass(frozen=True)
class Command:
    """One line of the table: the module that does it and what `caremesh --help` says of it."""

    module: str
    summary: str


class CommandModule(Protocol):
    """What the table expects of a command's module; its docstring is the command's description."""

    __doc__: str | None

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the command's arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Does it; the result is the exit code."""


COMMANDS = {
    "up": Command("caremesh.up.command", "start the clinic on this machine and keep it running until Ctrl-C"),
    "restart": Command("caremesh.restart", "start its processes again, one after the other, while it goes on serving"),
    "demo": Command("caremesh.demo", "fill it with a small made-up clinic; the same seed, the same clinic"),
    "import-synthea": Command("caremesh.import_synthea", "fill it with a Synthea folder of CSV files"),
    "mail": Command("caremesh.mail.command", "what became of letters, and what came to the inbox of this machine"),
    "backup": Command("caremesh.backups.backup", "copy both databases into a new folder, while the clinic runs or not"),
    "restore": Command("caremesh.backups.restore", "put such a folder back into the stopped clinic"),
    "explain": Command("caremesh.explain.command", "why a request went as it did: each attempt, each decision"),
    "doctor": Command("caremesh.doctor.command", "look for what is wrong here and say how to mend it"),
}

EXAMPLES = """\
a first visit:
  caremesh up                          in one terminal; prints addresses and three commands to paste
  caremesh demo                        in another; then open http://127.0.0.1:8080/docs
  caremesh mail inbox                  the letters that the clinic sent; they went to nobody
  caremesh import-synthea FOLDER       thousands of real-looking rows; run it again to resume, nothing comes twice
  caremesh doctor                      when something does not work

against bad days:
  caremesh explain REQUEST_ID          why one request failed, or took so long; the id is in its Request-Id
  caremesh mail list                   what waits, what failed, what nobody knows; `caremesh mail --help` for the rest
  caremesh backup DIR                  every night, into a folder on another disk
  caremesh restart KIND                new code for processes at work, one after the other; without KIND for all
  caremesh restore DIR                 after the clinic was stopped; `caremesh up` then starts it as it was

what runs, how many of each and where: caremesh.toml
exit codes: 0 done, 1 something failed, 2 wrong usage or configuration, 130 interrupted
`caremesh COMMAND --help` tells more about one command."""


def help_text() -> str:
    """What `caremesh --help` prints."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}} {command.summary}" for name, command in COMMANDS.items()]
    usage = "usage: caremesh COMMAND [options]\n       caremesh --help | --version"
    return "\n".join([usage, "", "A clinic's backend on one machine.", "", "commands:", *lines, "", EXAMPLES])


def unknown(name: str) -> int:
    """Names the command that may have been meant; returns the exit code of wrong usage."""
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"Did you mean `caremesh {close[0]}`?" if close else f"There are: {', '.join(COMMANDS)}."
    complain(f"caremesh: there is no command {name!r}. {hint} `caremesh --help` tells more.")
    return 2


def dispatch(name: str, rest: Sequence[str]) -> int:
    """Imports the command, reads its arguments, runs it. What it does not catch is told without its text."""
    try:
        return _run(name, rest)
    except ModuleNotFoundError as error:
        remedy = "`make run` builds the environment, .venv/bin/caremesh is the command in it"
        complain(f"caremesh {name}: the package {error.name} is missing here; {remedy}")
    except Exception as error:  # noqa: BLE001  # the interpreter would print it with its text: a row, a log line
        complain(f"caremesh {name} ends: {untold(error)}; this is a defect of caremesh")
    return 1


def _run(name: str, rest: Sequence[str]) -> int:
    module = cast("CommandModule", importlib.import_module(COMMANDS[name].module))
    parser = argparse.ArgumentParser(
        prog=f"caremesh {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.configure(parser)
    return module.run(parser.parse_args(rest))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `caremesh` with these arguments (the process's own by default); returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    match arguments:
        case [] | ["-h" | "--help" | "help"]:
            say(help_text())
            return 0 if arguments else 2
        case ["--version" | "-V"]:
            from mesh.version import __version__  # not at the top: importing `mesh` costs more than all of this module

            say(f"caremesh {__version__}")
            return 0
        case ["help", str(name)] if name in COMMANDS:
            return dispatch(name, ["--help"])
        case [str(name), *rest] if name in COMMANDS:
            return dispatch(name, rest)
    return unknown(arguments[0])
