"""The registry process's settings."""

import ipaddress
from typing import Literal, Self

from pydantic import field_validator, model_validator

from process.settings import Settings, setting


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

    @field_validator("host")
    @classmethod
    def _ip(cls, value: str) -> str:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise ValueError("must be an IP address, such as 127.0.0.1") from None
        return value

    @model_validator(mode="after")
    def _loopback(self) -> Self:
        if not self.listen_anywhere and not ipaddress.ip_address(self.host).is_loopback:
            raise ValueError("CAREMESH_HOST: must be a loopback address, or set CAREMESH_LISTEN_ANYWHERE=true")
        return self
