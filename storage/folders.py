"""Folders whose names are there after the machine has stopped at any moment."""

import os
from pathlib import Path


def make(folder: Path) -> None:
    """Makes a folder, for this user only, and those that it lies in. Raises OSError."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for one in made:
        sync(one.parent)


def sync(folder: Path) -> None:
    """Makes the names in a folder outlive the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
