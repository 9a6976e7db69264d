"""A small file system of a test's own, for what happens when a disk is full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.absence import cannot_run

REMEDY = "run it as root, or everything under `unshare --map-root-user --mount`"
# It unmounts when its input ends: with the block below, or with this process, whatever ends it.
MOUNTED = """
mount -t tmpfs -o "size=$2" caremesh-test "$1" || exit
echo mounted
read -r _
umount "$1" 2>/dev/null || umount --lazy "$1"
"""


@dataclass(frozen=True)
class SmallDisk:
    """Where it is mounted."""

    folder: Path

    @contextmanager
    def filled(self, left: int) -> Iterator[None]:
        """A file takes all of its room but so many bytes while the block lasts."""
        ballast = self.folder / "ballast"
        room = os.statvfs(self.folder)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - left)
        try:
            yield
        finally:
            ballast.unlink()


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Mounts one of so many bytes; skips the test where that is not allowed."""
    folder.mkdir()
    command = ["sh", "-c", MOUNTED, "sh", str(folder), str(size)]
    pipe = subprocess.PIPE
    # A session of its own: Ctrl-C is for this process, and then the child's input ends.
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stderr
        if holder.stdout.readline() != b"mounted\n":
            why, *_ = (holder.stderr.read().decode() or "mount says nothing").splitlines()
            cannot_run(f"what happens on a full disk ({why.removeprefix(f'mount: {folder}: ')})", REMEDY)
        try:
            yield SmallDisk(folder)
        finally:
            holder.stdin.close()
            holder.wait(10)
