"""`python -m caremesh.registry`."""

import os

from caremesh.registry.settings import RegistrySettings
from mesh.events import Events
from mesh.registry import RegistryService
from mesh.server import Health, Server
from observability.setup import setup
from process.control import ControlPort
from process.run import Stop, leave, run
from process.settings import load


async def serve(stop: Stop) -> None:
    """Serves until told to stop."""
    settings, events = load(RegistrySettings, os.environ), Events()
    observing = setup(
        process=settings.process,
        service="registry",
        events=events,
        log_level=settings.log_level,
        log_format=settings.log_format,
        otlp_endpoint=settings.otlp_endpoint,
    )
    control = ControlPort(settings.control_port, settings.control_token)
    observing.steered_by(control)
    stop.steered_by(control)
    server = Server([RegistryService()], host=settings.host, port=settings.port, health=Health(), events=events)
    async with observing, control, server:
        await stop.wait()


if __name__ == "__main__":
    leave(run(serve))
