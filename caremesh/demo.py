"""Fills the running clinic with a small made-up practice, through the REST API as any client would.

The same seed makes the same clinic, so that running it again adds nothing; more patients leave the others as
they are. Seed 1 has patients 1, 2, 3…; each further seed has patient numbers of its own. Nothing is mailed.
"""

import argparse
from collections.abc import Callable

from caremesh.clinic.people import MOST_PATIENTS, MOST_SEEDS, clinic
from caremesh.intake import command


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    told = "(default: %(default)s)"
    parser.add_argument("--seed", metavar="N", type=_number(MOST_SEEDS), default=1, help=f"which clinic {told}")
    parser.add_argument("--patients", metavar="N", type=_number(MOST_PATIENTS), default=20, help=f"how many {told}")
    command.configure(parser)


def _number(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if text.isascii() and text.isdigit() and 1 <= int(text[:10]) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {most}")

    return read


def run(arguments: argparse.Namespace) -> int:
    """Makes the clinic and writes it."""
    return command.write_all("demo", clinic(arguments.seed, arguments.patients), arguments)
