"""The sink as a process: what was acknowledged is there, whatever dies; and nothing of it is told."""

import asyncio
import hashlib
import signal
import socket
from contextlib import suppress
from pathlib import Path
from random import Random
from subprocess import Popen

import aiosmtplib
import pytest

from caremesh.sink.maildir import Maildir
from tests.fakes.waiting import until
from tests.faults.strace import SYNCS, WRITES, calls, traced
from tests.integration.caremesh.sinking import client, content, give, sink
from tests.stack import free_port


def test_a_sink_that_is_killed_at_any_moment_has_every_letter_that_it_acknowledged_and_no_half_one(
    tmp_path: Path,
) -> None:
    """Letters are large enough that a kill meets them half written; each ends with a sum of what it says."""
    folder, port, rng, acknowledged = tmp_path / "mail", free_port(), Random(20261124), list[bytes]()
    for number in range(4):
        with sink(folder, port) as running:
            asyncio.run(_until_killed(running, port, rng, acknowledged, f"{number}"))
    kept = [content(path) for path in Maildir(folder).letters()]
    assert all(map(_whole, kept))
    assert len(acknowledged) >= 4
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))


async def _until_killed(running: Popen[str], port: int, rng: Random, acknowledged: list[bytes], name: str) -> None:
    """Four clients send letter after letter until the sink is killed in the midst of it."""

    async def send(number: int) -> None:
        count = 0
        with suppress(aiosmtplib.SMTPException, OSError):
            async with client(port) as connected:
                while True:
                    count += 1
                    letter = _summed(f"Subject: {name} {number} {count}", rng.randrange(1, 300))
                    await give(connected, letter)
                    acknowledged.append(letter)

    before = len(acknowledged)
    clients = [asyncio.create_task(send(number)) for number in range(4)]
    await until(lambda: len(acknowledged) > before)
    await asyncio.sleep(rng.uniform(0, 0.2))
    running.send_signal(signal.SIGKILL)
    await asyncio.gather(*clients)
    assert running.wait(10) == -signal.SIGKILL


def _summed(head: str, lines: int) -> bytes:
    text = f"{head}\r\n\r\n".encode() + (b"x" * 900 + b"\r\n") * lines
    return text + hashlib.sha256(text).hexdigest().encode() + b"\r\n"


def _whole(letter: bytes) -> bool:
    text, told = letter[:-66], letter[-66:]
    return hashlib.sha256(text).hexdigest().encode() + b"\r\n" == told


def test_under_strace_each_250_leaves_after_the_letter_and_its_name_were_synced(tmp_path: Path) -> None:
    """What a kill cannot show: it must outlive the machine, too."""
    folder, port = tmp_path / "mail", free_port()
    with sink(folder, port) as running, traced(running.pid, tmp_path / "trace"):
        asyncio.run(_send(port, 12))
    with (tmp_path / "trace").open() as lines:
        made = calls(lines)
    answers = [one for one in made if one.name in WRITES and one.data.startswith(b"250 2.0.0 stored")]
    assert len(answers) == 12
    for number, answer in enumerate(answers, 1):
        synced = [one.file for one in made if one.name in SYNCS and one.result == 0 and one.ended < answer.began]
        assert synced.count(str(folder / "new")) == number
        assert sum(Path(file).parent == folder / "tmp" for file in synced) == number


async def _send(port: int, letters: int) -> None:
    async with client(port) as connected:
        for _ in range(letters):
            await give(connected, b"Subject: x\r\n\r\nx\r\n")


@pytest.mark.parametrize("given", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_when_told_and_its_log_names_no_patient_and_no_address(
    tmp_path: Path, given: signal.Signals
) -> None:
    """The library tells every command and every address; debug is where all of it would come out."""
    port = free_port()
    with sink(tmp_path / "mail", port, {"CAREMESH_LOG_LEVEL": "debug"}) as running:
        asyncio.run(_send(port, 1))
        asyncio.run(_rude(port))
        running.send_signal(given)
        _, told = running.communicate(timeout=10)
    assert running.returncode == 0
    assert "takes letters on smtp://127.0.0.1" in told
    assert "stored a letter of" in told
    for secret in ("pharmacy", "example.org", "Subject", "Novák", "NOVAK", "aiosmtpd", "mail.log"):
        assert secret not in told


async def _rude(port: int) -> None:
    """Commands that make a server complain."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for line in ("NOVÁK x", "NOVAK x", "EHLO x", "MAIL FROM:<pharmacy@example.org", "VRFY Novák", "QUIT"):
        writer.write(f"{line}\r\n".encode())
    await asyncio.wait_for(reader.read(), 30)
    writer.close()


def test_a_port_that_is_taken_is_told_with_its_remedy(tmp_path: Path) -> None:
    """And may be free at the next start, so it is no refusal of settings."""
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with sink(tmp_path / "mail", port) as running:
            _, told = running.communicate(timeout=30)
    assert running.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use); choose a free port" in told
