"""Migrating in a child process: Alembic is needed for a moment only, and its failure must not take anything along."""

import asyncio
import sys
from collections.abc import Mapping, Sequence

from storage.errors import MigrationFailed


async def migrate_in_child(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Runs this Python with `arguments` and waits until it has migrated. The child ends when this process does.

    Raises:
        MigrationFailed: it ended with another code than 0; it has said why on its standard error.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=dict(environ), stdin=asyncio.subprocess.PIPE
    )
    try:
        code = await child.wait()
    except asyncio.CancelledError:
        child.kill()
        await child.wait()
        raise
    if code != 0:
        raise MigrationFailed(f"the migration ended with code {code}; the service does not start")
