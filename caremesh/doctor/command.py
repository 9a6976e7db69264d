"""Looks at this machine and at the clinic on it: a line each, and a remedy for what is wrong.

Python, packages, disk, clock, caremesh.toml, settings, ports, databases, kept answers, mail, and the clinic that runs.
Exits with 1 when something is wrong. Changes nothing.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from caremesh import config, state
from caremesh.doctor import clinic, machine
from caremesh.doctor.answers import answers
from caremesh.doctor.finding import Finding, Level, wrong
from caremesh.doctor.mail import mail
from caremesh.doctor.running import running
from caremesh.terminal import coloured, harmless, paint, say

_MARKS: dict[Level, tuple[str, str]] = {"well": ("ok", "green"), "note": ("note", "yellow"), "wrong": ("WRONG", "red")}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "--config", type=Path, default=Path(config.DEFAULT_FILE), metavar="FILE", help="(default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Looks at everything, says it, and ends with 1 when something is wrong."""
    found = []
    for finding in examine(arguments.config):
        found.append(finding)
        _say(finding)
    faults = sum(finding.level == "wrong" for finding in found)
    say(f"{faults} of {len(found)} are wrong" if faults else f"all well ({len(found)} looked at)")
    return 1 if faults else 0


def examine(file: Path) -> Iterator[Finding]:
    """All findings, one after the other."""
    yield machine.python()
    yield machine.packages()
    settings, findings = clinic.configuration(file)
    yield from findings
    if settings is None:
        return
    yield from machine.disk(settings.data)
    yield machine.clock(settings.data)
    try:
        yield from clinic.settings(settings, os.environ)
        yield from clinic.policy(settings, os.environ)
    except ModuleNotFoundError as error:
        yield wrong("settings", f"cannot be looked at: {error.name} is missing", "`make run` builds the environment")
    here = state.running(settings.data)
    yield from clinic.ports(settings, here)
    yield from clinic.databases(settings, os.environ)
    yield from answers(settings, os.environ)
    yield from mail(settings, os.environ, here)
    yield from running(here)


def _say(finding: Finding) -> None:
    mark, colour = _MARKS[finding.level]
    say(f"{paint(f'{mark:<6}', colour, on=coloured(sys.stdout))}{finding.what}: {harmless(finding.told)}")
    if finding.remedy:
        say(f"      → {finding.remedy}")
