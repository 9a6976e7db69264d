"""The worker in the service's own process: it begins with it, and ends with it in time, whatever the relay does."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from storage.database import Database
from tests.fakes.relay import FakeRelay, Fault, How, Planned, Point
from tests.fakes.waiting import until
from tests.integration.outbox.clinic import Clinic

TO_END = 30.0  # seconds, on a busy machine; it is 0.7 and what the interpreter takes, and a silent relay has a minute


@asynccontextmanager
async def serving(address: str, relay: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    told = {"DATABASE": address, "REGISTRIES": "", "PORT": "0", "MAIL_RELAY": relay} | settings
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "svc_prescriptions",
        env=os.environ | {f"CAREMESH_{name}": value for name, value in told.items()},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Tells it to end; its exit code, and what it logged."""
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    async with asyncio.timeout(60):
        _, told = await process.communicate()
    assert time.monotonic() - began < TO_END
    return process.returncode, told.decode()


async def test_a_process_sends_what_waits_and_tells_no_address(address: str, clinic: Clinic) -> None:
    """What another replica wrote before it was killed, say."""
    await clinic.write(patient_name="Eva Nováková")
    async with FakeRelay() as relay, serving(address, relay.address) as process:
        await until(lambda: relay.taken, 60)
        code, told = await ended(process)
    assert code == 0
    assert "delivery 1 of prescription 1, attempt 1: sent" in told
    assert not [word for word in ("a@example.org", "Eva", "Aspirin") if word in told]
    assert await clinic.told() == ["new sent"]


@pytest.mark.parametrize(("point", "state"), [(Point.MAIL, "waiting"), (Point.DOT, "uncertain")])
async def test_a_process_that_is_told_to_end_does_not_wait_for_a_relay_that_is_silent(
    address: str, clinic: Clinic, point: Point, state: str
) -> None:
    """Its letter is uncertain only if it was handed over; and nobody has to wait for the lease to end."""
    await clinic.write()
    relay = FakeRelay(Planned(Fault(point, How.STALL)))
    async with relay, serving(address, relay.address) as process:
        await until(lambda: relay.happened, 60)
        code, _ = await ended(process)
    assert code == 0
    (letter,) = await clinic.of()
    assert (letter.state, letter.holder, letter.held_until) == (state, "", None)


async def test_without_a_relay_letters_wait_and_that_is_said(address: str, clinic: Clinic) -> None:
    """The service runs as before; who expects mail finds the reason in its log."""
    await clinic.write()
    async with serving(address, "") as process:
        assert process.stderr
        async with asyncio.timeout(60):
            while b"CAREMESH_MAIL_RELAY" not in (line := await process.stderr.readline()):
                assert line, "it ended"
        assert (await ended(process))[0] == 0
    assert await clinic.told() == ["new waiting"]


async def test_a_relay_that_cannot_be_one_is_refused_at_start_without_its_password(
    address: str, database: Database
) -> None:
    """Rather than a process that looks well and mails nothing."""
    wrong = {"MAIL_FROM": "nobody", "MAIL_UNCERTAIN_MINUTES": "-1"}
    async with serving(address, "smtp://me:s3cret@relay.example:25?starttls=never", **wrong) as process:
        async with asyncio.timeout(60):
            _, told = await process.communicate()
    assert process.returncode == 2
    for name in ("CAREMESH_MAIL_RELAY", "CAREMESH_MAIL_FROM", "CAREMESH_MAIL_UNCERTAIN_MINUTES"):
        assert name in told.decode()
    assert "s3cret" not in told.decode()
