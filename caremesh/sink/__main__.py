"""`python -m caremesh.sink`."""

import asyncio
import logging
import os
from pathlib import Path

from caremesh.sink.maildir import Maildir
from caremesh.sink.server import Sink
from caremesh.sink.settings import SinkSettings
from mesh.events import Events
from observability.setup import setup
from process.control import ControlPort
from process.run import Stop, leave, run
from process.settings import load

log = logging.getLogger("caremesh.sink")


async def serve(stop: Stop) -> None:
    """Takes letters until told to stop."""
    settings = load(SinkSettings, os.environ)
    maildir = Maildir(Path(settings.mail_folder))
    logging.getLogger("mail").setLevel(logging.CRITICAL)  # aiosmtpd's: it tells addresses and whole commands
    observing = setup(
        process=settings.process,
        service="mail-sink",
        events=Events(),
        log_level=settings.log_level,
        log_format=settings.log_format,
        otlp_endpoint=settings.otlp_endpoint,
    )
    control = ControlPort(settings.control_port, settings.control_token)
    observing.steered_by(control)
    stop.steered_by(control)
    async with observing, control:
        await asyncio.to_thread(maildir.prepare)
        stored = len(await asyncio.to_thread(maildir.letters))
        async with Sink(maildir.add, stored=stored, host=settings.host, port=settings.port) as sink:
            log.info("takes letters on smtp://%s and keeps them; %d are here", sink.address, stored)
            await stop.wait()


if __name__ == "__main__":
    leave(run(serve))
