"""Writes a Synthea folder of CSV files into the running clinic, as any REST client would.

conditions become records (diagnosis), careplans records (treatment-plan), medications prescriptions; one a row.
patients.csv numbers the patients from 1000 on, providers.csv the doctors from 1 on. Nothing is mailed.
Safe to interrupt and to run again: each row has a source_id of its own, so that nothing is written twice.
"""

import argparse
from pathlib import Path

from caremesh.intake import command
from caremesh.synthea.mapping import read
from caremesh.synthea.table import FolderError
from caremesh.terminal import complain


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder with Synthea's CSV files")
    command.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Reads the whole folder, then writes; 2 when the folder is not sound, and nothing is written then."""
    try:
        rows = read(arguments.folder)
    except FolderError as error:
        complain(f"import-synthea: nothing was written.\n{error}")
        return 2
    return command.write_all("import-synthea", rows, arguments)
