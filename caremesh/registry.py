"""The registry process: `python -m caremesh.registry`. Its state is soft: services announce themselves again."""

import asyncio
import ipaddress
import os
import sys
from typing import Literal, Self

from pydantic import model_validator

from mesh.events import Events
from mesh.registry import RegistryService
from mesh.server import Health, Server
from observability.setup import setup
from process.run import run
from process.settings import Settings, load, setting


class RegistrySettings(Settings):
    """What a registry process can be told."""

    host: str = setting("127.0.0.1", "the IP address to listen on")
    port: int = setting(8500, "the port to listen on; 0 takes a free one", ge=0, le=65535)
    process: str = setting("registry", "the name of this process in logs and traces")
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "the least level that is logged")
    log_format: Literal["text", "json"] = setting("text", "log lines for people (text) or for programs (json)")
    otlp_endpoint: str = setting(
        "", "the collector's URL, e.g. http://127.0.0.1:4318; empty exports nothing", env="OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    listen_anywhere: bool = setting(False, "whether it may listen beyond loopback: there is no login")

    @model_validator(mode="after")
    def _loopback(self) -> Self:
        if not self.listen_anywhere and not ipaddress.ip_address(self.host).is_loopback:
            raise ValueError("CAREMESH_HOST: must be a loopback address, or set CAREMESH_LISTEN_ANYWHERE=true")
        return self


async def serve(stop: asyncio.Event) -> None:
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
    server = Server([RegistryService()], host=settings.host, port=settings.port, health=Health(), events=events)
    async with observing, server:
        await stop.wait()


if __name__ == "__main__":
    sys.exit(run(serve))
