"""SQLite's connections."""

import asyncio
import threading
import time
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy.exc import OperationalError

from storage.sqlite import reading_engine


async def test_a_failed_connect_leaves_no_thread_to_speak_to_a_loop_that_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread's last word would be an exception that nobody can catch; and to wait for it must stop nobody else."""
    stop = aiosqlite.Connection.stop

    def hesitate(connection: aiosqlite.Connection) -> object:
        connection._tx.put_nowait((None, lambda: time.sleep(0.3)))
        return stop(connection)

    monkeypatch.setattr(aiosqlite.Connection, "stop", hesitate)
    before = set(threading.enumerate())
    engine = reading_engine(tmp_path / "missing.db", 1)
    beside = asyncio.create_task(asyncio.sleep(0.01))
    with pytest.raises(OperationalError, match="unable to open"):
        await engine.connect()
    assert beside.done()
    assert not [thread for thread in set(threading.enumerate()) - before if "connection_worker" in thread.name]
    await engine.dispose()
