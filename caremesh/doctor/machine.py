"""What the clinic needs of the machine: Python, packages, disk, clock."""

import importlib.metadata
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from caremesh.doctor.finding import Finding, note, well, wrong

PYTHON = (3, 11)
LOCK = Path(__file__).parents[2] / "requirements.lock"
LEAST_FREE = 500 * 2**20  # bytes: the databases of some hundred thousand rows, their logs and backups
EARLIEST = 1_735_689_600  # 2025-01-01T00:00:00Z: this program is younger
SKEW = 120.0  # seconds that a file may be younger than now: coarse file systems, a clock just set
# SQLite's WAL needs shared memory between the processes: not on network file systems (sqlite.org/wal.html).
_REMOTE = ("nfs", "cifs", "smb", "9p", "sshfs", "afs", "gluster")
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)\s*(;[^\\]*)?")


def python() -> Finding:
    """The version of the interpreter that runs this."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON:
        return wrong("Python", f"{version} is too old", "install Python 3.11 or newer, then `make clean run`")
    return well("Python", f"{version} at {sys.executable}")


def packages(lock: Path = LOCK) -> Finding:
    """What is installed against requirements.lock."""
    if not lock.exists():
        return note("packages", "requirements.lock is not here, nothing to compare with")
    locked = dict(pinned(lock.read_text(encoding="utf-8")))
    if strange := sorted(_strange(locked)):
        more = f" and {len(strange) - 5} more" if len(strange) > 5 else ""  # noqa: PLR2004  # a line's worth
        return wrong("packages", f"{', '.join(strange[:5])}{more}", "build the environment again: `make clean run`")
    return well("packages", f"{len(locked)} as in requirements.lock")


def pinned(lock: str) -> Iterator[tuple[str, str]]:
    """Name and version of each package that the lock gives for every platform."""
    for line in lock.splitlines():
        if (found := _PINNED.match(line)) and not found[3]:
            yield found[1], found[2]


def _strange(locked: Mapping[str, str]) -> Iterator[str]:
    for name, version in locked.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{name} is missing"
            continue
        if installed != version:
            yield f"{name} is {installed}, locked is {version}"


def disk(data: Path) -> Iterator[Finding]:
    """Whether the data folder can be written to, has room, and lies on a file system that SQLite can use."""
    place = next(folder for folder in (data, *data.parents) if folder.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield wrong(
            "disk", f"{place} cannot be written to", f"`sudo chown $USER {place}`, or set `data` in caremesh.toml"
        )
    free = shutil.disk_usage(place).free
    told = f"{free / 2**30:.1f} GiB free at {place}"
    if free < LEAST_FREE:
        yield wrong("disk", told, "make room, or set `data` in caremesh.toml to a folder on another disk")
    else:
        yield well("disk", told)
    if (kind := _file_system(place)).removeprefix("fuse.").startswith(_REMOTE):
        yield wrong("disk", f"{place} is on {kind}: SQLite loses data there", "set `data` to a folder on a local disk")


def _file_system(place: Path) -> str:
    """The type of the file system by /proc/self/mounts; empty where there is none."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    under = [fields for fields in mounts if place.is_relative_to(fields[1])]
    return max(under, key=lambda fields: len(fields[1]))[2] if under else ""


def clock(data: Path, now: float | None = None) -> Finding:
    """Whether the clock can be right: not before this program, not before what it wrote."""
    now = time.time() if now is None else now
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    remedy = "set the clock (`timedatectl set-ntp true`)"
    if now < EARLIEST:
        return wrong("clock", f"{shown} is in the past", remedy)
    ahead = [path.name for path in data.glob("*") if path.is_file() and path.stat().st_mtime > now + SKEW]
    if ahead:
        return wrong("clock", f"{shown} is before {', '.join(sorted(ahead)[:3])} was written", remedy)
    return well("clock", shown)
